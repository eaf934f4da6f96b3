//go:build ignore

// It looks for the letters "xml" in the field. They stand in application/atom+xml,
// too, which is a feed, and in "application/xml;q=0", which says no.
//
//workshop:caught-by TestChoose/part_of_a_name_is_no_name
//workshop:says whose name only holds these letters
package representation

import "strings"

func Choose(accept, offers []string) (mediaType string, ok bool) {
	field := strings.Join(accept, ",")
	for _, offer := range offers {
		if _, name, _ := strings.Cut(offer, "/"); name == "xml" && strings.Contains(field, name) {
			return offer, true
		}
	}
	return offers[0], true
}
