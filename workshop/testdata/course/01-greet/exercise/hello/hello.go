// Package hello greets.
package hello

// Language is the one that it greets in.
const Language = "en"

// To greets name.
func To(name string) string {
	// TODO(hello): Greet by name, and
	// be polite to nobody in particular.
	// The reference imports, besides what stands above: "clicktocode.example/01-greet/words", "strings".
	return ""
}
