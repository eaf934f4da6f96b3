package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium that takes shop.test for the stack, and its
// certificate for a good one. What happens in it is told to listen.
func browser(t *testing.T, s *stack, listen func(event any)) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		const how = "no Chromium found: on Debian, apt-get install chromium"
		if os.Getenv("CI") != "" {
			require.FailNow(t, how)
		}
		t.Skip(how)
	}
	site, err := url.Parse(s.d.URL)
	require.NoError(t, err)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP shop.test 127.0.0.1:"+site.Port()+", EXCLUDE 127.0.0.1"))...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx, chromedp.WithListener(listen))
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); stop() })
	return ctx
}

// A guest opens the shop's page in a real browser, and clicks on "Buy now". The order
// of the receipt is in the books, and the browser has nothing to complain about.
func (s *stack) page(t *testing.T) {
	var mu sync.Mutex
	var complaints []string
	ctx := browser(t, s, func(event any) {
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
	note, err := chromedp.Run(ctx, chromedp.Poll[string](answered, chromedp.WithPollingTimeout(patience)))
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
	}, patience, 50*time.Millisecond, "the receipt by mail")
	mu.Lock()
	defer mu.Unlock()
	assert.Empty(t, complaints, "what stands in the browser's console")
}
