// Package hello greets.
package hello

import (
	"strings"

	"clicktocode.example/01-greet/words"
)

// Language is the one that it greets in.
const Language = "en"

// To greets name.
func To(name string) string {
	//workshop:begin return ""
	//workshop:todo Greet by name, and
	//workshop:todo be polite to nobody in particular.
	if strings.TrimSpace(name) == "" {
		name = fallback()
	}
	return words.Hello + ", " + name + "!"
	//workshop:end
}

// fallback is who is greeted when there is no name.
//
//workshop:omit
func fallback() string { return "stranger" }
