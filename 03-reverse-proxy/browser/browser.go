// Package browser gives tests a real browser: Chromium without a window, which package
// chromedp drives.
package browser

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Open returns what chromedp's actions take: a browser of t's own, which ends with t.
// It takes shop.test for the server at addr, an IP address and a port, and its
// certificate for a good one. What happens in it is told to listen, unless that is nil.
// The test is skipped where there is no Chromium, but not in CI.
func Open(t testing.TB, addr string, listen func(event any)) context.Context {
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
	ctx, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP shop.test "+addr+", EXCLUDE 127.0.0.1"))...)
	t.Cleanup(stop)
	var options []chromedp.ContextOption
	if listen != nil {
		options = append(options, chromedp.WithListener(listen))
	}
	ctx, stop = chromedp.NewContext(ctx, options...)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); stop() })
	return ctx
}
