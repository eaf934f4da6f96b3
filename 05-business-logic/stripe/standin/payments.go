package standin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// intent is a PaymentIntent, as Stripe writes it.
type intent struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Amount           int64             `json:"amount"`
	AmountReceived   int64             `json:"amount_received"`
	CaptureMethod    string            `json:"capture_method"`
	ClientSecret     string            `json:"client_secret"`
	Created          int64             `json:"created"`
	Currency         string            `json:"currency"`
	Description      *string           `json:"description"`
	LastPaymentError *apiError         `json:"last_payment_error"`
	LatestCharge     *string           `json:"latest_charge"`
	Livemode         bool              `json:"livemode"`
	Metadata         map[string]string `json:"metadata"`
	PaymentMethod    *string           `json:"payment_method"`
	Status           string            `json:"status"`

	refunded int64
}

// refund is a Refund, as Stripe writes it.
type refund struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Amount        int64             `json:"amount"`
	Charge        *string           `json:"charge"`
	Created       int64             `json:"created"`
	Currency      string            `json:"currency"`
	Metadata      map[string]string `json:"metadata"`
	PaymentIntent string            `json:"payment_intent"`
	Reason        *string           `json:"reason"`
	Status        string            `json:"status"`
}

// Payment is what a test wants to know of a PaymentIntent.
type Payment struct {
	ID       string
	Amount   int64
	Currency string
	Status   string
	Refunded int64
	Metadata map[string]string
}

// Payments are all PaymentIntents so far, also those that were declined, in the
// order in which they were made. They are the caller's own.
func (s *Server) Payments() []Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Payment, len(s.intents))
	for i, p := range s.intents {
		all[i] = Payment{p.ID, p.Amount, p.Currency, p.Status, p.refunded, maps.Clone(p.Metadata)}
	}
	return all
}

// routes says who answers what. A resource is called with its form read, and with
// the state locked.
func (s *Server) routes() {
	handle := func(pattern string, params string, resource func(r *http.Request) reply) {
		known := strings.Fields(params)
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			for name := range r.Form {
				root, _, _ := strings.Cut(name, "[")
				if root != "expand" && !slices.Contains(known, root) {
					refused(400, "parameter_unknown", name, "Received unknown parameter: "+name).write(w)
					return
				}
			}
			s.mu.Lock()
			a := resource(r)
			s.mu.Unlock()
			a.write(w)
		})
	}
	handle("POST /v1/payment_intents", "amount automatic_payment_methods capture_method confirm currency description error_on_requires_action metadata off_session payment_method payment_method_types", s.createLocked)
	handle("GET /v1/payment_intents", "limit starting_after", func(r *http.Request) reply {
		return page(r, "/v1/payment_intents", s.intents, func(p *intent) string { return p.ID }, nil)
	})
	handle("GET /v1/payment_intents/search", "query limit", s.searchLocked)
	handle("GET /v1/payment_intents/{id}", "", func(r *http.Request) reply {
		p, missing := s.findLocked(r.PathValue("id"), "intent")
		if p == nil {
			return missing
		}
		return ok(p)
	})
	handle("POST /v1/payment_intents/{id}/confirm", "error_on_requires_action off_session payment_method", func(r *http.Request) reply {
		p, missing := s.findLocked(r.PathValue("id"), "intent")
		if p == nil {
			return missing
		}
		if p.Status != "requires_confirmation" && p.Status != "requires_payment_method" {
			return refused(400, "payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it has a status of "+p.Status+".")
		}
		return s.confirmLocked(p, r.PostForm)
	})
	handle("POST /v1/refunds", "amount metadata payment_intent reason", s.refundLocked)
	handle("GET /v1/refunds", "limit payment_intent starting_after", func(r *http.Request) reply {
		of := r.Form.Get("payment_intent")
		return page(r, "/v1/refunds", s.refunds, func(f *refund) string { return f.ID }, func(f *refund) bool { return of == "" || f.PaymentIntent == of })
	})
	handle("GET /v1/refunds/{id}", "", func(r *http.Request) reply {
		for _, f := range s.refunds {
			if f.ID == r.PathValue("id") {
				return ok(f)
			}
		}
		return refused(404, "resource_missing", "id", "No such refund: '"+r.PathValue("id")+"'")
	})
}

func (s *Server) createLocked(r *http.Request) reply {
	form := r.PostForm
	for _, name := range []string{"amount", "currency"} {
		if form.Get(name) == "" {
			return refused(400, "parameter_missing", name, "Missing required param: "+name+".")
		}
	}
	amount, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	switch {
	case err != nil:
		return refused(400, "parameter_invalid_integer", "amount", "Invalid integer: "+form.Get("amount"))
	case amount < 1:
		return refused(400, "parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	case amount > 99_999_999:
		return refused(400, "amount_too_large", "amount", "Amount must be no more than 99999999")
	case !currency.MatchString(form.Get("currency")):
		return refused(400, "", "currency", "Invalid currency: "+form.Get("currency"))
	}
	if method := form.Get("payment_method"); method != "" {
		if _, missing := outcome(method); missing {
			return refused(400, "resource_missing", "payment_method", "No such PaymentMethod: '"+method+"'")
		}
	}
	p := &intent{
		ID: id("pi"), Object: "payment_intent", Amount: amount, Currency: form.Get("currency"), CaptureMethod: "automatic",
		Created: s.c.Now().Unix(), Metadata: metadata(form), Description: given(form, "description"),
		PaymentMethod: given(form, "payment_method"), Status: "requires_payment_method",
	}
	p.ClientSecret = p.ID + "_secret_" + id("x")[2:]
	if p.PaymentMethod != nil {
		p.Status = "requires_confirmation"
	}
	s.intents = append(s.intents, p)
	s.byID[p.ID] = p
	s.emitLocked("payment_intent.created", p)
	if form.Get("confirm") != "true" {
		return ok(p)
	}
	return s.confirmLocked(p, form)
}

// confirmLocked charges.
func (s *Server) confirmLocked(p *intent, form url.Values) reply {
	if method := given(form, "payment_method"); method != nil {
		p.PaymentMethod = method
	}
	if p.PaymentMethod == nil {
		return refused(400, "payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it's missing a payment method.")
	}
	o, missing := outcome(*p.PaymentMethod)
	switch {
	case missing:
		return refused(400, "resource_missing", "payment_method", "No such PaymentMethod: '"+*p.PaymentMethod+"'")
	case o.later:
		p.Status = "processing"
		s.emitLocked("payment_intent.processing", p)
		s.goLocked(func() {
			if wait(s.ctx, s.c.Later) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.settleLocked(p, o)
			}
		})
		return ok(p)
	case o.code == "authentication_required" && form.Get("error_on_requires_action") != "true":
		p.Status = "requires_action"
		s.emitLocked("payment_intent.requires_action", p)
		return ok(p)
	}
	s.settleLocked(p, o)
	if p.LastPaymentError == nil {
		return ok(p)
	}
	e := *p.LastPaymentError
	copied := *p
	e.PaymentIntent = &copied
	return e.reply(402)
}

// settleLocked says what became of a charge.
func (s *Server) settleLocked(p *intent, o result) {
	charge := id("ch")
	p.LatestCharge = &charge
	if o.code != "" {
		p.Status = "requires_payment_method"
		p.LastPaymentError = &apiError{Type: "card_error", Code: o.code, DeclineCode: o.decline, Charge: charge, Message: o.message}
		s.emitLocked("payment_intent.payment_failed", p)
		return
	}
	p.Status, p.AmountReceived, p.LastPaymentError = "succeeded", p.Amount, nil
	s.emitLocked("payment_intent.succeeded", p)
}

func (s *Server) refundLocked(r *http.Request) reply {
	form := r.PostForm
	if form.Get("payment_intent") == "" {
		return refused(400, "parameter_missing", "payment_intent", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	p, missing := s.findLocked(form.Get("payment_intent"), "payment_intent")
	if p == nil {
		return missing
	}
	if p.Status != "succeeded" {
		return refused(400, "payment_intent_unexpected_state", "payment_intent", "This PaymentIntent ("+p.ID+") does not have a successful charge to refund.")
	}
	left := p.Amount - p.refunded
	if left == 0 {
		return refused(400, "charge_already_refunded", "", "Charge "+*p.LatestCharge+" has already been refunded.")
	}
	amount := left
	if text := form.Get("amount"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > left {
			return refused(400, "", "amount", fmt.Sprintf("Refund amount (%s) is not within the unrefunded amount on charge (%d)", text, left))
		}
		amount = n
	}
	p.refunded += amount
	f := &refund{
		ID: id("re"), Object: "refund", Amount: amount, Charge: p.LatestCharge, Created: s.c.Now().Unix(), Currency: p.Currency,
		Metadata: metadata(form), PaymentIntent: p.ID, Reason: given(form, "reason"), Status: "succeeded",
	}
	s.refunds = append(s.refunds, f)
	s.emitLocked("refund.created", f)
	return ok(f)
}

func (s *Server) searchLocked(r *http.Request) reply {
	query := r.Form.Get("query")
	var match []*intent
	clauses := strings.Split(query, " AND ")
	for _, p := range slices.Backward(s.intents) {
		all := true
		for _, text := range clauses {
			c := clause.FindStringSubmatch(strings.TrimSpace(text))
			if c == nil {
				return refused(400, "", "query", "We were unable to parse your search query.")
			}
			all = all && (c[1] == "" || p.Metadata[c[1]] == c[2]) && (c[3] == "" || p.Status == c[3])
		}
		if all {
			match = append(match, p)
		}
	}
	if match == nil {
		match = []*intent{}
	}
	limit, wrong := limit(r)
	if wrong != nil {
		return *wrong
	}
	return ok(map[string]any{"object": "search_result", "url": "/v1/payment_intents/search", "has_more": len(match) > limit, "data": match[:min(limit, len(match))]})
}

// findLocked finds a PaymentIntent, or says that it is missing.
func (s *Server) findLocked(id, param string) (*intent, reply) {
	p := s.byID[id]
	return p, refused(404, "resource_missing", param, "No such payment_intent: '"+id+"'")
}

// page is a page of all, newest first.
func page[T any](r *http.Request, url string, all []T, id func(T) string, match func(T) bool) reply {
	limit, wrong := limit(r)
	if wrong != nil {
		return *wrong
	}
	after, more := r.Form.Get("starting_after"), false
	data := []T{}
	for _, one := range slices.Backward(all) {
		if match != nil && !match(one) {
			continue
		}
		if after != "" {
			if id(one) == after {
				after = ""
			}
			continue
		}
		if len(data) == limit {
			more = true
			break
		}
		data = append(data, one)
	}
	if after != "" {
		return refused(400, "resource_missing", "starting_after", "No such object: '"+after+"'")
	}
	return ok(map[string]any{"object": "list", "url": url, "has_more": more, "data": data})
}

func limit(r *http.Request) (int, *reply) {
	text := r.Form.Get("limit")
	if text == "" {
		return 10, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 100 {
		wrong := refused(400, "parameter_invalid_integer", "limit", "limit must be from 1 to 100")
		return 0, &wrong
	}
	return n, nil
}

var (
	currency = regexp.MustCompile(`^[a-z]{3}$`)
	clause   = regexp.MustCompile(`^(?:metadata\['([^']+)'\]:'([^']*)'|status:'([a-z_]+)')$`)
	nested   = regexp.MustCompile(`^metadata\[([^\]]+)\]$`)
)

func metadata(form url.Values) map[string]string {
	m := map[string]string{}
	for name := range form {
		if part := nested.FindStringSubmatch(name); part != nil {
			m[part[1]] = form.Get(name)
		}
	}
	return m
}

func given(form url.Values, name string) *string {
	if value := form.Get(name); value != "" {
		return &value
	}
	return nil
}

// result is what becomes of a charge. The zero result is a success.
type result struct {
	code, decline, message string
	later                  bool
}

// declines are Stripe's, by the end of the test method's name.
var declines = map[string]result{
	"":                      {code: "card_declined", decline: "generic_decline", message: "Your card was declined."},
	"InsufficientFunds":     {code: "card_declined", decline: "insufficient_funds", message: "Your card has insufficient funds."},
	"LostCard":              {code: "card_declined", decline: "lost_card", message: "Your card was declined."},
	"StolenCard":            {code: "card_declined", decline: "stolen_card", message: "Your card was declined."},
	"VelocityLimitExceeded": {code: "card_declined", decline: "card_velocity_exceeded", message: "Your card was declined for making repeated attempts too frequently or exceeding its amount limit."},
	"ExpiredCard":           {code: "expired_card", message: "Your card has expired."},
	"IncorrectCvc":          {code: "incorrect_cvc", message: "Your card's security code is incorrect."},
	"ProcessingError":       {code: "processing_error", message: "An error occurred while processing your card. Try again in a little bit."},
}

// outcome is what becomes of a charge by method. missing says that there is no such
// method.
func outcome(method string) (o result, missing bool) {
	switch method {
	case "pm_card_visa", "pm_card_visa_debit", "pm_card_mastercard", "pm_card_mastercard_debit", "pm_card_amex", "pm_card_discover", "pm_card_diners", "pm_card_jcb", "pm_card_unionpay",
		"pm_standin_flaky", "pm_standin_lost", "pm_standin_slow":
		return result{}, false
	case "pm_standin_later":
		return result{later: true}, false
	case "pm_standin_later_declined":
		o = declines[""]
		o.later = true
		return o, false
	case "pm_card_authenticationRequired":
		return result{code: "authentication_required", decline: "authentication_required", message: "Your card was declined. This transaction requires authentication."}, false
	}
	for _, prefix := range []string{"pm_card_visa_chargeDeclined", "pm_card_chargeDeclined"} {
		if end, found := strings.CutPrefix(method, prefix); found {
			o, known := declines[end]
			return o, !known
		}
	}
	return result{}, true
}

// hasMethod reports whether params, path and form, have that payment method.
func hasMethod(params, method string) bool {
	_, form, _ := strings.Cut(params, "?")
	values, _ := url.ParseQuery(form)
	return values.Get("payment_method") == method
}
