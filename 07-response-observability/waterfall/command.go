package waterfall

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/01-dns-tcp-tls/client"
	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/07-response-observability/solution/tracing"
	"clicktocode.example/07-response-observability/telemetry"
)

// How long the spans are waited for, once the answer is here: a server's ends a moment
// after its last octet was sent.
const (
	spansWithin = time.Second
	noneWithin  = 200 * time.Millisecond // where nobody has any: they make none
	spansPoll   = 20 * time.Millisecond
)

// Command is the stage.Run behind `click`. Asked for home, it buys a dinner there, as
// the shop's page does, in one trace: GET /menu; POST /session, for a guest's token;
// POST /orders, of one of the first dish that is left. The Click is all three, with the
// receipt as its body; if one of them fails, it is the last. Asked for any other URL, it
// gets that.
//
// It asks the DNS server at dns, and the operators' listeners at admins for the spans.
// Where there are none, the phases are those of the client alone, and the hops are from
// Server-Timing. Names of phases are filled with spaces, so that columns stay columns.
func Command(dns, home string, admins []string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) (err error) {
		server, err := netip.ParseAddrPort(dns)
		if err != nil {
			return fmt.Errorf("waterfall: set DNS_ADDR to the address and port of a DNS server, like 127.0.0.1:8053: %w", err)
		}
		spans, err := telemetry.New(ctx, telemetry.Config{Role: "click", Export: telemetry.Wanted(), Keep: 1}) // it makes IDs only if it keeps some
		if err != nil {
			return err
		}
		defer func() {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if failed := spans.Shutdown(last); failed != nil {
				s.Log.Warn("the click's own spans were not exported", "err", failed) // which is no failure of the click
			}
		}()
		c, err := client.New(client.Config{DNS: server})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		g := &guest{client: c, tracer: spans.Tracer("click"), admins: admins}
		for range s.Count {
			click, err := g.visit(ctx, s.URL, home)
			if err != nil {
				return err
			}
			s.Click(click)
		}
		return nil
	}
}

// guest is one customer.
type guest struct {
	client *client.Client
	tracer trace.Tracer
	admins []string
	token  string // empty: it has none yet
}

// visit is one journey: a dinner at home, or a look at another url.
func (g *guest) visit(ctx context.Context, url, home string) (stage.Click, error) {
	ctx, span := g.tracer.Start(ctx, "click")
	j := &journey{guest: g, span: span.SpanContext()}
	var receipt string
	var err error
	if url == home {
		receipt, err = j.dine(ctx, strings.TrimRight(home, "/"))
	} else {
		_, err = j.send(ctx, http.MethodGet, url, "", nil)
	}
	span.End()
	if err != nil {
		return stage.Click{}, err
	}
	if url == home {
		j.balancer()
	} else {
		j.requests[0].name = "" // "wait", as in the chapters before
	}
	click := j.click(ctx)
	if receipt != "" {
		click.Body = receipt
	}
	return click, nil
}

// journey is some requests in one trace.
type journey struct {
	*guest
	span     trace.SpanContext
	requests []request
}

// send makes one request, and returns the answer's body.
func (j *journey) send(ctx context.Context, method, url, body string, header map[string]string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("waterfall: this is no URL: %w. One looks like https://shop.test:8443/menu", err)
	}
	name := method + " " + cmp.Or(req.URL.Path, "/")
	ctx, span := j.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient)) // of paths, there are too many
	defer span.End()
	req = req.WithContext(ctx)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	if span.SpanContext().IsValid() {
		req.Header.Set("Traceparent", tracing.Format(span.SpanContext()))
	}
	start := time.Now()
	click, answer, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	j.requests = append(j.requests, request{name: name, id: span.SpanContext().SpanID().String(), click: click, start: start})
	return answer, nil
}

// balancer says where the balancer before the edges is, which makes no spans: all that
// it sees of a request are octets.
func (j *journey) balancer() {
	for i, p := range j.requests[0].click.Phases {
		if p.Name == "TCP" {
			j.requests[0].click.Phases[i].Detail += ", which is the balancer: TLS passes it unopened"
		}
	}
}

// failed reports whether the last answer is none to go on with.
func (j *journey) failed() bool { return j.requests[len(j.requests)-1].click.Status/100 != 2 }

// dine buys one of the first dish that is left. The receipt is empty if that failed:
// then the last request tells why. err is for those that had no answer.
func (j *journey) dine(ctx context.Context, site string) (receipt string, err error) {
	asJSON := map[string]string{"Accept": "application/json"}
	text, err := j.send(ctx, http.MethodGet, site+"/menu", "", asJSON)
	if err != nil || j.failed() {
		return "", err
	}
	type dish struct {
		ID   string
		Left *int // nil: nobody knows
	}
	var menu struct{ Dishes []dish }
	if err := json.Unmarshal(text, &menu); err != nil {
		return "", fmt.Errorf("waterfall: GET /menu does not answer with a menu: %w", err)
	}
	first := slices.IndexFunc(menu.Dishes, func(d dish) bool { return d.Left == nil || *d.Left > 0 })
	if first < 0 {
		return "There is no dinner: all is sold out.", nil
	}

	if j.token == "" {
		text, err := j.send(ctx, http.MethodPost, site+"/session", "", asJSON)
		if err != nil || j.failed() {
			return "", err
		}
		var session struct{ Token string }
		if json.Unmarshal(text, &session) != nil || session.Token == "" {
			return "", errors.New("waterfall: POST /session answers without a token")
		}
		j.token = session.Token
	}

	wish, err := json.Marshal(map[string]any{"lines": []order.Item{{Dish: menu.Dishes[first].ID, Quantity: 1}}})
	if err != nil {
		return "", err
	}
	text, err = j.send(ctx, http.MethodPost, site+"/orders", string(wish), map[string]string{
		"Accept": "application/json", "Content-Type": "application/json",
		"Authorization": "Bearer " + j.token, "Idempotency-Key": rand.Text(),
	})
	if err != nil || j.failed() {
		return "", err
	}
	return receiptOf(text), nil
}

// receiptOf is an order for a human, or text as it is where that is none.
func receiptOf(text []byte) string {
	var o struct {
		ID, State            string
		Lines                []order.Line
		Discount, Tax, Total order.Money
	}
	if json.Unmarshal(text, &o) != nil || o.ID == "" {
		return string(text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Order %s, %s\n\n", o.ID, o.State)
	row := func(what string, m order.Money) {
		fmt.Fprintf(&b, "  %-36s %8.2f %s\n", what, float64(m.Amount)/100, m.Currency) // this restaurant's currency has two decimals
	}
	for _, l := range o.Lines {
		row(fmt.Sprintf("%d × %s", l.Quantity, l.Name), l.Total)
	}
	if o.Discount.Amount > 0 {
		o.Discount.Amount = -o.Discount.Amount
		row("Discount", o.Discount)
	}
	row("Tax", o.Tax)
	row("Total", o.Total)
	return b.String()
}

// click is the journey as one Click, with the spans of all roles.
func (j *journey) click(ctx context.Context) stage.Click {
	spans := j.await(ctx)
	first, last := j.requests[0].click, j.requests[len(j.requests)-1].click
	click := last
	click.Reused, click.Resumed = first.Reused, first.Resumed
	click.Phases = phases(j.requests, spans)
	if len(spans) > 0 { // whoever has a span need not tell in a field of the answer
		click.Hops = []stage.Hop{j.hop(spans)}
	}
	align(&click)
	return click
}

// hop is what the first server took, by its own word, and the trace.
func (j *journey) hop(spans []telemetry.Span) stage.Hop {
	h := stage.Hop{Detail: fmt.Sprintf("trace %s, %d spans", j.span.TraceID(), len(spans))}
	for _, s := range spans {
		if slices.ContainsFunc(j.requests, func(r request) bool { return r.id == s.Parent }) {
			h.Name = s.Role
			h.US += s.End.Sub(s.Start).Microseconds()
		}
	}
	if h.Name == "" {
		h.Name = spans[0].Role
	}
	return h
}

// align fills the names of phases and hops with spaces, to one width.
func align(click *stage.Click) {
	width := 0
	for _, p := range click.Phases {
		width = max(width, utf8.RuneCountInString(p.Name))
	}
	for i, p := range click.Phases {
		click.Phases[i].Name = fmt.Sprintf("%-*s", width, p.Name)
	}
	for i, h := range click.Hops {
		click.Hops[i].Name = fmt.Sprintf("%-*s", width, h.Name)
	}
}

// await returns the spans of the journey, once they are whole, or time is over.
func (j *journey) await(ctx context.Context) (best []telemetry.Span) {
	if !j.span.IsSampled() || len(j.admins) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, spansWithin)
	defer cancel()
	for began := time.Now(); ; {
		spans, faults := collect(ctx, j.span.TraceID(), j.admins)
		switch {
		case len(spans) == 0 && (!slices.Contains(faults, nil) || time.Since(began) > noneWithin):
			return best
		case len(spans) > len(best): // perhaps more are on their way
			best = spans
		case len(spans) == len(best) && j.whole(spans):
			return spans
		}
		select {
		case <-time.After(spansPoll):
		case <-ctx.Done():
			return best
		}
	}
}

// whole reports whether each request has its first server's span, and each span its
// parent: one that is missing has not ended yet.
func (j *journey) whole(spans []telemetry.Span) bool {
	known, asked := map[string]bool{}, map[string]bool{}
	for _, r := range j.requests {
		known[r.id] = true
	}
	for _, s := range spans {
		known[s.ID] = true
		asked[s.Parent] = true
	}
	for _, r := range j.requests {
		if !asked[r.id] {
			return false
		}
	}
	return !slices.ContainsFunc(spans, func(s telemetry.Span) bool { return !known[s.Parent] })
}
