package hello_test

import (
	"testing"

	"clicktocode.example/01-greet/solution/hello"
)

// A stub may well be short.
//
//workshop:guard TestTo/is_short
func TestTo(t *testing.T) {
	t.Run("greets_by_name", func(t *testing.T) {
		if got := hello.To("Ada"); got != "Hello, Ada!" {
			t.Errorf("To(%q) is %q, want %q: a greeting has the name in it", "Ada", got, "Hello, Ada!")
		}
	})
	t.Run("greets_a_stranger", func(t *testing.T) {
		if got := hello.To(" "); got != "Hello, stranger!" {
			t.Errorf("To(%q) is %q, want %q: no name, no blank", " ", got, "Hello, stranger!")
		}
	})
	t.Run("is_short", func(t *testing.T) {
		if got := hello.To("Ada"); len(got) > 100 {
			t.Errorf("%d letters are too many", len(got))
		}
	})
}
