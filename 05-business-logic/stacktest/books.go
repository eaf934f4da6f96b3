package stacktest

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/replica"
	till "clicktocode.example/05-business-logic/stripe/standin"
)

// Placed is an order, as it is shown.
type Placed struct {
	ID, State string
	Lines     []order.Item
	Total     order.Money
}

// Orders are all in the books, by way of the replica a. It waits until each is as ok
// says, if that is not nil.
func (s *Stack) Orders(ok func(Placed) bool) (all []Placed) {
	s.t.Helper()
	chef := s.At("A", s.token("chef", "orders:read", "orders:kitchen"))
	for end := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		all = nil
		for after := ""; ; {
			var page struct {
				Orders []Placed
				Next   string
			}
			require.NoError(s.t, chef.Get("/orders?limit=100"+after, &page))
			all = append(all, page.Orders...)
			if page.Next == "" {
				break
			}
			after = "&after=" + page.Next
		}
		open := slices.IndexFunc(all, func(o Placed) bool { return ok != nil && !ok(o) })
		if open < 0 {
			return all
		}
		if time.Now().After(end) {
			require.Failf(s.t, "not settled", "order %+v, after %v", all[open], Patience)
		}
	}
}

// Payments are those that the stand-in for Stripe has in its books, with what was paid
// back.
func (s *Stack) Payments() []till.Payment {
	s.t.Helper()
	back := map[string]int64{}
	for _, r := range listed[struct {
		ID      string
		Amount  int64
		Payment string `json:"payment_intent"`
	}](s, "refunds") {
		back[r.Payment] += r.Amount
	}
	all := listed[till.Payment](s, "payment_intents")
	for i, p := range all {
		all[i].Refunded = back[p.ID]
	}
	return all
}

// listed is a whole list of the stand-in's.
func listed[V any](s *Stack, what string) (all []V) {
	s.t.Helper()
	for after := ""; ; {
		var page struct {
			HasMore bool `json:"has_more"`
			Data    []json.RawMessage
		}
		require.NoError(s.t, s.At("PAYMENTS", replica.StripeKey).Get("/v1/"+what+"?limit=100"+after, &page))
		var last struct{ ID string }
		for _, text := range page.Data {
			var v V
			require.NoError(s.t, errors.Join(json.Unmarshal(text, &v), json.Unmarshal(text, &last)))
			all = append(all, v)
		}
		if !page.HasMore {
			return all
		}
		after = "&starting_after=" + last.ID
	}
}

// Charged is what each order's customer has paid and not got back, by the order's ID. No
// order may have two such payments.
func Charged(t testing.TB, payments []till.Payment) map[string]int64 {
	t.Helper()
	charged := map[string]int64{}
	for _, p := range payments {
		if kept := p.Amount - p.Refunded; p.Status == "succeeded" && kept != 0 {
			assert.Zero(t, charged[p.Metadata["order"]], "order %s was charged twice", p.Metadata["order"])
			charged[p.Metadata["order"]] += kept
		}
	}
	return charged
}

// Left is what the menu of replica a says is left of each dish. An edge may have an
// older one.
func (s *Stack) Left() map[string]int {
	s.t.Helper()
	var menu struct {
		Dishes []struct {
			ID   string
			Left int
		}
	}
	require.NoError(s.t, s.At("A", "").Get("/menu", &menu))
	left := map[string]int{}
	for _, d := range menu.Dishes {
		left[d.ID] = d.Left
	}
	require.NotEmpty(s.t, left)
	return left
}

// Mailed is how many mails were sent.
func (s *Stack) Mailed() int {
	s.t.Helper()
	var box struct {
		Messages []struct{}
		Dropped  int
	}
	require.NoError(s.t, s.At("MAIL", "").Get("/mailbox", &box))
	return len(box.Messages) + box.Dropped
}

// Audit compares the books with what customers were told. Each order that is paid, as
// they were told, is there, and paid, once, with what it costs. One that was pending is
// so, too, or cancelled. There is no other order, and no other payment that is not paid
// back. And of each dish, what is left and what was sold are what there was at the
// start: Stock.
func (s *Stack) Audit(told *Tally) {
	s.t.Helper()
	orders := s.Orders(func(o Placed) bool { return o.State != "pending" && o.State != "cancelling" })
	sold, due := map[string]int{}, map[string]int64{}
	var ids, pending []string
	for _, o := range orders {
		open := slices.Contains(told.pending, o.ID)
		if open {
			pending = append(pending, o.ID)
		}
		if o.State == "cancelled" && (open || !slices.Contains(told.Orders, o.ID)) {
			told.Undone++
			continue
		}
		assert.Equal(s.t, "paid", o.State, "order %s", o.ID)
		due[o.ID] = o.Total.Amount
		for _, l := range o.Lines {
			sold[l.Dish] += l.Quantity
		}
		if !open {
			ids = append(ids, o.ID)
		}
	}
	assert.ElementsMatch(s.t, told.pending, pending, "orders that customers were told are pending, and those of them in the books")
	slices.Sort(ids)
	slices.Sort(told.Orders)
	assert.Equal(s.t, told.Orders, ids, "orders that customers were told are paid, and orders in the books")
	payments := s.Payments()
	for _, p := range payments {
		if p.Refunded != 0 {
			told.Undone++
		}
	}
	assert.Equal(s.t, due, Charged(s.t, payments), "what each order costs, and what was charged for it")
	want := map[string]int{}
	for dish, n := range Stock() {
		want[dish] = n - sold[dish]
		assert.GreaterOrEqual(s.t, want[dish], 0, "%s: more were sold than there were", dish)
	}
	left := s.Left()
	for began := time.Now(); !maps.Equal(want, left) && time.Since(began) < s.MenuAge; left = s.Left() {
		time.Sleep(50 * time.Millisecond)
	}
	assert.Equal(s.t, want, left, "what is left of each dish is what was not sold")
}
