//go:build ignore

// It greets nobody by name.
//
//workshop:caught-by TestTo/greets_by_name
//workshop:says a greeting has the name in it
package hello

func To(string) string { return "HELLO!" }
