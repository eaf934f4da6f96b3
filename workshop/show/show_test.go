package show_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"clicktocode.example/workshop/show"
)

func TestMarkdown(t *testing.T) {
	page := show.Page{Width: 30}

	t.Run("breaks_at_spaces_and_never_at_a_hyphen", func(t *testing.T) {
		got := page.Markdown("Look with `openssl s_client -connect` at the long-winded certificate.")
		for _, line := range strings.Split(got, "\n") {
			assert.LessOrEqual(t, len(line), 32)
		}
		assert.Contains(t, strings.Fields(got), "-connect")
		assert.Contains(t, strings.Fields(got), "long-winded")
	})

	t.Run("leaves_code_whole", func(t *testing.T) {
		code := "openssl s_client -connect 127.0.0.1:8443 -servername shop.test"
		assert.Contains(t, page.Markdown("Try:\n\n```\n"+code+"\n```\n"), code)
	})

	t.Run("shows_a_link_within_the_clone_by_its_text", func(t *testing.T) {
		got := page.Markdown("[exercise/hello/hello.go](exercise/hello/hello.go) and [Go](https://go.dev)")
		assert.Equal(t, 1, strings.Count(got, "hello.go"))
		assert.Contains(t, got, "https://go.dev")
	})

	t.Run("leaves_names_alone", func(t *testing.T) {
		assert.Contains(t, page.Markdown("the name www.shop.test is asked for"), "name www.shop.test is")
	})

	t.Run("paints_nothing_without_colour", func(t *testing.T) {
		assert.NotContains(t, page.Markdown("# A *b* `c` [d](https://go.dev)"), "\x1b")
	})
}
