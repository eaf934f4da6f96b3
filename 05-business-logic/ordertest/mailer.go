package ordertest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
)

// Post is an order.Mailer to be tested, with what the suite must know of it.
type Post struct {
	Mailer order.Mailer
	// Sent returns what has arrived so far, in any order. A provider that does not
	// keep Mail.Key leaves it empty.
	Sent func(t *testing.T) []order.Mail
}

// TestMailer is the suite of order.Mailer. newPost returns one that has sent
// nothing yet.
func TestMailer(t *testing.T, newPost func(t *testing.T) Post) {
	mail := order.Mail{Key: "paid-one", To: "ada@example.com", Subject: "Your order “one” 茶", Text: "Thank you!\n\n2 × Ramen\n.\nFrom: the kitchen\n"}
	sent := func(t *testing.T, post Post) []order.Mail {
		t.Helper()
		all := post.Sent(t)
		for i := range all {
			all[i].Key = ""
		}
		return all
	}
	keyless := func(m order.Mail) order.Mail { m.Key = ""; return m }

	t.Run("sends", func(t *testing.T) {
		post := newPost(t)
		require.NoError(t, post.Mailer.Send(within(t), mail))
		assert.Equal(t, []order.Mail{keyless(mail)}, sent(t, post), "address, subject and text arrive as they were sent")
	})

	t.Run("sends_several_at_once", func(t *testing.T) {
		post := newPost(t)
		var want []order.Mail
		for i := range 10 {
			m := mail
			m.Key, m.To = fmt.Sprint("paid-", i), fmt.Sprintf("guest%d@example.com", i)
			want = append(want, m)
		}
		for _, err := range atOnce(len(want), func(i int) error { return post.Mailer.Send(within(t), want[i]) }) {
			assert.NoError(t, err)
		}
		for i := range want {
			want[i] = keyless(want[i])
		}
		assert.ElementsMatch(t, want, sent(t, post))
	})

	t.Run("an_address_that_is_none_is_invalid", func(t *testing.T) {
		post := newPost(t)
		for _, to := range []string{"", "ada", "@example.com", "ada@", "ada@example.com\r\nBcc: bob@example.com"} {
			m := mail
			m.To = to
			require.ErrorIs(t, post.Mailer.Send(within(t), m), order.ErrInvalid, "To: %q", to)
		}
		assert.Empty(t, sent(t, post))
	})

	t.Run("a_context_that_is_done_sends_nothing", func(t *testing.T) {
		post := newPost(t)
		err := post.Mailer.Send(gone(), mail)
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, order.ErrUnavailable, "the context was done before the call: it was not sent, and that is known")
		assert.Empty(t, sent(t, post))
		require.NoError(t, post.Mailer.Send(within(t), mail), "a caller that left must not spoil it for the next one")
	})
}
