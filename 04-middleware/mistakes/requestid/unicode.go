//go:build ignore

// It asks package unicode what a letter is, and there are more than a hundred
// thousand. Some look exactly like others, so that nobody finds the line by
// typing what they see.
//
//workshop:caught-by TestSane/refuses_letters_beyond_ascii
//workshop:says unicode.IsLetter and IsDigit know thousands
package requestid

import (
	"strings"
	"unicode"
)

func Sane(id string) bool {
	if id == "" || len(id) > MaxLength {
		return false
	}
	for _, r := range id {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._~", r) {
			return false
		}
	}
	return true
}
