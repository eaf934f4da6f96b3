package edge_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium that takes shop.test for s, and its certificate
// for a good one. The test is skipped where there is none, but not in CI.
func browser(t *testing.T, addr string) context.Context {
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
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP shop.test "+addr+", EXCLUDE 127.0.0.1"))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); stop() })
	return ctx
}

// TestPage clicks on "Buy now" in a real browser.
func TestPage(t *testing.T) {
	s := start(t)
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	ctx := browser(t, u.Host)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("https://shop.test/"), chromedp.WaitVisible(chromedp.CSS("#menu button"))))
	menu, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#menu")))
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS("#menu li:first-child button"))))
	const answered = `!/^(What|Ordering)/.test(document.getElementById("note").textContent) && document.getElementById("note").textContent`
	note, err := chromedp.Run(ctx, chromedp.Poll[string](answered, chromedp.WithPollingTimeout(20*time.Second)))
	require.NoError(t, err)
	assert.Contains(t, menu, "Ramen with egg")
	assert.Contains(t, menu, "€12.50")
	assert.True(t, strings.HasPrefix(note, "Order a-") || strings.HasPrefix(note, "Order b-"), "the page says %q", note)
	assert.Contains(t, note, "€12.50")
	if file := os.Getenv("SCREENSHOT"); file != "" { // for those who want to look at it
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, picture, 0o600))
	}
}
