package edge_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/03-reverse-proxy/browser"
)

// TestPage clicks on "Buy now" in a real browser.
func TestPage(t *testing.T) {
	s := start(t)
	ctx := browser.Open(t, s.Listener.Addr().String(), nil)
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

// TestPageKeys: each row is what comes of two clicks, the first of which meets an
// answer of the row's. The shop's answers are made up in the browser.
func TestPageKeys(t *testing.T) {
	s := start(t)
	ctx := browser.Open(t, s.Listener.Addr().String(), nil)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("https://shop.test/"), chromedp.WaitVisible(chromedp.CSS("#menu button"))))
	const placed = `json(201, {id: "a-1", state: "paid", total: {amount: 1250, currency: "EUR"}})`
	for _, row := range []struct {
		name, answer string
		same         bool // the second click asks for the same order
		says         string
	}{
		{"placed", placed, false, "Order a-1: Ramen with egg, €12.50. The kitchen is at it."},
		{"placed_and_not_paid_yet", `json(202, {id: "a-1", state: "pending", total: {amount: 1250, currency: "EUR"}})`, false, "takes a moment"},
		{"declined", `json(402, {type: "https://shop.test/problems/declined", detail: "The payment was declined."})`, false, "Ramen with egg was not ordered. The payment was declined."},
		{"sold_out", `json(409, {type: "https://shop.test/problems/sold-out", detail: "Of ramen there are 0 left."})`, false, "was not ordered. Of ramen"},
		{"under_way", `json(409, {type: "https://shop.test/problems/idempotency-in-flight", detail: "It is under way."})`, true, "Try again: it will be ordered once."},
		{"too_many_requests", `json(429, {detail: "Too many."})`, true, "Try again"},
		{"unavailable", `json(503, {detail: "Not now."})`, true, "was not confirmed. Not now. Try again"},
		{"unknown", `json(504, {detail: "No answer came in time."})`, true, "Try again"},
		{"no_problem_document", `new Response("<html>", {status: 502})`, true, "The shop answers 502. Try again"},
		{"no_answer", `null`, true, "Failed to fetch. Try again"},
		{"half_an_answer", `new Response("{", {status: 201, headers: {"Content-Type": "application/json"}})`, true, "Try again"},
	} {
		t.Run(row.name, func(t *testing.T) {
			keys, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(async () => {
				const json = (status, body) => new Response(JSON.stringify(body), {status, headers: {"Content-Type": "application/problem+json"}});
				const answers = [() => `+row.answer+`, () => `+placed+`], keys = [], real = window.fetch;
				window.fetch = async (url, options) => {
					if (url === "/session") return json(201, {token: "a-guest's"});
					keys.push(options.headers["Idempotency-Key"]);
					const answer = answers.shift()();
					if (answer === null) throw new TypeError("Failed to fetch");
					return answer;
				};
				const button = document.querySelector("#menu li:first-child button"), told = [];
				for (let i = 0; i < 2; i++) {
					button.click();
					while (button.disabled) await new Promise((r) => setTimeout(r, 1));
					told.push(document.getElementById("note").textContent);
				}
				window.fetch = real;
				return [...keys, told[0]];
			})()`, chromedp.EvalAwaitPromise))
			require.NoError(t, err)
			require.Len(t, keys, 3, "two requests, and what the page said after the first: %q", keys)
			assert.NotEmpty(t, keys[0])
			assert.Equal(t, row.same, keys[0] == keys[1], "two clicks, and the first was answered by %s. The keys: %q", row.answer, keys[:2])
			assert.Contains(t, keys[2], row.says)
		})
	}
}
