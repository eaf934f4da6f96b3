//go:build ignore

// It makes one tag for both forms. Who has the JSON, and asks for the XML, is told that
// it has it already.
//
//workshop:caught-by TestTag/differs_from_form_to_form
//workshop:says the same strong tag says that the octets are the same
package conditional

import "strconv"

func Tag(version int, mediaType string) string {
	return `"` + strconv.Itoa(version) + `"`
}
