//go:build ignore

// It greets a name that is only blanks.
//
//workshop:caught-by TestTo/greets_a_stranger
//workshop:says no name, no blank
package hello

import "clicktocode.example/01-greet/words"

func To(name string) string { return words.Hello + ", " + name + "!" }
