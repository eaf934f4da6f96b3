//go:build ignore

// It looks whether the letters of an offer occur in the field. But "gzip;q=0"
// holds them, and says the opposite: gzip is what this client cannot unpack.
//
//workshop:caught-by TestChoose/weight_zero_is_no
//workshop:says That gzip stands in the field is not enough
package acceptencoding

import "strings"

func Choose(lines []string, offers []string) (coding string, ok bool) {
	for _, offer := range offers {
		if strings.Contains(strings.Join(lines, ","), offer) {
			return offer, true
		}
	}
	return Identity, true
}
