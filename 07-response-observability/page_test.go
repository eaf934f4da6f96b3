package main

import (
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/browser"
	"clicktocode.example/05-business-logic/stacktest"
)

// A guest opens the shop's page in a real browser, and clicks on "Buy now". The order
// of the receipt is in the books, and the browser has nothing to complain about.
func (s *stack) page(t *testing.T) {
	var mu sync.Mutex
	var complaints []string
	ctx := browser.Open(t, s.addr("balancer"), func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprint(e.Type, e.Args))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("https://shop.test/"), chromedp.WaitVisible(chromedp.CSS("#menu button"))))
	menu, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#menu")))
	require.NoError(t, err)
	assert.Contains(t, menu, "Ramen with egg")
	assert.Contains(t, menu, "€12.50")

	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#menu li:first-child button"))))
	const answered = `!/^(What|Ordering)/.test(document.getElementById("note").textContent) && document.getElementById("note").textContent`
	note, err := chromedp.Run(ctx, chromedp.Poll[string](answered, chromedp.WithPollingTimeout(stacktest.Patience)))
	require.NoError(t, err)
	receipt := regexp.MustCompile(`^Order (\S+): Ramen with egg, €13\.38\. The kitchen is at it\.$`).FindStringSubmatch(note)
	require.NotNil(t, receipt, "the page says %q", note)

	var state string
	require.NoError(t, s.books().Get(&state, `SELECT state FROM orders WHERE id = $1`, receipt[1]), "order %s", receipt[1])
	assert.Equal(t, "paid", state)
	require.Eventually(t, func() bool {
		for _, m := range s.mail.Mailbox() {
			if m.Args["key"] == "confirmation-"+receipt[1] {
				return true
			}
		}
		return false
	}, stacktest.Patience, 50*time.Millisecond, "the receipt by mail")
	mu.Lock()
	defer mu.Unlock()
	assert.Empty(t, complaints, "what stands in the browser's console")
}
