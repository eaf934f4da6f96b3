package stacktest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/replica"
)

// Stock is what a kitchen has for those who click: plenty of all, but only a few mochi.
func Stock() map[string]int {
	_, stock := replica.Menu()
	for dish := range stock {
		stock[dish] = 1_000_000
	}
	stock["mochi"] = 50
	return stock
}

// DoubleClick has customers click for d, and audits the books: at the start, there was
// Stock. It returns what customers have met with, which is no fault.
func (s *Stack) DoubleClick(customers int, d time.Duration) *Tally {
	s.t.Helper()
	told := new(Tally)
	ctx, stop := context.WithTimeout(s.t.Context(), d)
	defer stop()
	began := time.Now()
	s.Click(ctx, customers, d+Patience, told)
	told.customers, told.took = customers, time.Since(began)
	require.Empty(s.t, told.Faults, "what a customer must not see")
	require.NotEmpty(s.t, told.Orders)
	s.Audit(told)
	return told
}

// Click has customers order by double clicks, again and again, until ctx is done and each
// has their last answer, for which none waits longer than patience. Any goroutine may
// call it.
func (s *Stack) Click(ctx context.Context, customers int, patience time.Duration, told *Tally) {
	dishes := []string{"ramen", "gyoza", "tofu", "tea", "udon", "soba", "curry", "edamame", "miso", "mochi"}
	var running sync.WaitGroup
	for i := range customers {
		c := s.Customer(fmt.Sprintf("guest-%d", i), i)
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				told.doubleClick(c, fmt.Sprintf("click-%d", n), order.Item{Dish: dishes[(i+n)%len(dishes)], Quantity: 1 + n%2}, patience)
			}
		})
	}
	running.Wait()
}

// Tally is what customers have met with. The zero value is ready.
type Tally struct {
	Requests        atomic.Int64
	Again, Accepted atomic.Int64 // those asked again after a fault, and those answered by 202
	underWay        atomic.Int64 // those that met the other click

	mu              sync.Mutex // guards what follows, while customers click
	Orders          []string   // that customers were told are paid, by ID
	Faults          []string   // what a customer must not see
	pending         []string   // orders of which they were told that nobody knows yet
	clicks, soldOut int
	times           []time.Duration // from a click to the order

	// Undone is what Audit has found: orders that were cancelled, and payments that
	// were paid back.
	Undone int

	customers int // of DoubleClick
	took      time.Duration
}

// Told is how many orders customers were told of, so far.
func (t *Tally) Told() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.Orders)
}

// String is what DoubleClick has measured.
func (t *Tally) String() string {
	slices.Sort(t.times)
	quantile := func(q float64) time.Duration {
		return t.times[int(q*float64(len(t.times)-1))].Round(10 * time.Microsecond)
	}
	second := t.took.Seconds()
	return fmt.Sprintf("%d customers, %v: %d double clicks, %d orders (%.0f/s), %d sold out; %d requests (%.0f/s), of them %d met the other click under way, %d asked again after a fault, %d were pending at first; from the click to the order: median %v, p99 %v",
		t.customers, t.took.Round(time.Millisecond), t.clicks, len(t.Orders), float64(len(t.Orders))/second, t.soldOut,
		t.Requests.Load(), float64(t.Requests.Load())/second, t.underWay.Load(), t.Again.Load(), t.Accepted.Load(), quantile(.5), quantile(.99))
}

// doubleClick sends an order twice at once, and each of the two again, for patience,
// until it is known what became of it.
func (t *Tally) doubleClick(c *Client, key string, item order.Item, patience time.Duration) {
	began := time.Now()
	var ids [2]string
	var pending [2]bool
	var faults [2]error
	var both sync.WaitGroup
	for i := range ids {
		both.Go(func() { ids[i], pending[i], faults[i] = t.insist(c, key, item, patience) })
	}
	both.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clicks++
	t.times = append(t.times, time.Since(began))
	switch err := errors.Join(faults[:]...); {
	case err != nil:
		t.Faults = append(t.Faults, err.Error())
	case ids[0] != ids[1]:
		t.Faults = append(t.Faults, fmt.Sprintf("a double click on %v made two orders: %q", item, ids))
	case ids[0] == "":
		t.soldOut++
	case pending[0] && pending[1]:
		t.pending = append(t.pending, ids[0])
	default:
		t.Orders = append(t.Orders, ids[0])
	}
}

// insist is what a careful client does: it asks again, with the same key, until the
// answer is one for good. The ID is empty if the dish is sold out.
func (t *Tally) insist(c *Client, key string, item order.Item, patience time.Duration) (id string, pending bool, err error) {
	for end := time.Now().Add(patience); ; {
		t.Requests.Add(1)
		status, text, err := c.Place(key, item, "pm_card_visa")
		var said struct{ ID, Type, Detail string }
		if err == nil {
			err = json.Unmarshal(text, &said)
		}
		switch {
		case err == nil && status == http.StatusCreated:
			return said.ID, false, nil
		case err == nil && status == http.StatusAccepted:
			t.Accepted.Add(1)
			return said.ID, true, nil
		case status == http.StatusConflict && strings.HasSuffix(said.Type, "/sold-out"):
			return "", false, nil
		case status == http.StatusConflict && strings.HasSuffix(said.Type, "/idempotency-in-flight"):
			t.underWay.Add(1)
		case err != nil, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout, status == http.StatusBadGateway:
			t.Again.Add(1)
		default:
			return "", false, fmt.Errorf("status %d, %.300s", status, text)
		}
		if time.Now().After(end) {
			return "", false, fmt.Errorf("no answer for good: status %d, %.300s, %w", status, text, cmp.Or(err, context.DeadlineExceeded))
		}
		time.Sleep(5 * time.Millisecond) // as Retry-After asks for, only shorter
	}
}
