package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/stacktest"
)

// kills is whom serveTheDinner kills, in this order.
var kills = flag.String("kills", "b,edge1,memcached,postgres", "the roles that TestService kills while it serves the dinner, with commas between")

// TestService is one evening in the finished service.
func TestService(t *testing.T) {
	if raceEnabled {
		return // what runs are other processes, built without the race detector
	}
	s := newStack(t)
	t.Logf("ready after %v", s.startAll().Round(time.Millisecond))
	s.healthy(200)
	for _, part := range []struct {
		name string
		run  func(*stack, *testing.T)
	}{
		{"the_page_sells_a_dinner", (*stack).page},
		{"paths_and_methods_make_no_series", (*stack).metricsDoNotGrow},
		{"serve_the_dinner_whoever_is_killed", (*stack).serveTheDinner},
		{"a_rolling_restart_is_not_noticed", (*stack).rollingRestart},
	} {
		t.Run(part.name, func(t *testing.T) {
			defer func(whole testing.TB) { s.t = whole }(s.t)
			s.t = t
			part.run(s, t)
		})
	}
}

// crowd is customers who come, look at the menu, order, look at their order and leave,
// again and again, and check each answer.
type crowd struct {
	s    *stack
	run  sync.WaitGroup
	stop context.CancelFunc

	menus, refused atomic.Int64 // GET /menu: answers, and those that there was none of

	mu     sync.Mutex                  // guards what follows
	acked  map[string]stacktest.Placed // orders that a customer was told of, by ID
	failed []string                    // requests that had no good answer
	wrong  []string                    // answers that are worse than none
}

func (s *stack) crowd(customers int) *crowd {
	ctx, stop := context.WithCancel(s.t.Context())
	c := &crowd{s: s, stop: stop, acked: map[string]stacktest.Placed{}}
	for i := range customers {
		c.run.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c.dine(i, n)
			}
		})
	}
	return c
}

// leave has all customers finish their dinner, and returns when they have.
func (c *crowd) leave() {
	c.stop()
	c.run.Wait()
}

func (c *crowd) note(list *[]string, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (c *crowd) faults() (failed, wrong []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.failed), slices.Clone(c.wrong)
}

// dine is one visit. Who gets no answer about an order asks again, by the same key, as
// long as it takes: so does a customer who wants to know.
func (c *crowd) dine(i, n int) {
	v := c.s.Client(i)
	defer v.Leave()
	var menu struct {
		Dishes []struct{ ID string } `json:"dishes"`
	}
	if err := v.Get("/menu", &menu); err != nil {
		c.refused.Add(1)
		c.note(&c.failed, "%v", err)
		return
	}
	c.menus.Add(1)
	if len(menu.Dishes) != 10 {
		c.note(&c.wrong, "a menu of %d dishes", len(menu.Dishes))
	}
	status, text, err := v.Ask(http.MethodPost, "/session", struct{}{})
	var session struct {
		Token string `json:"token"`
	}
	if err == nil && status == http.StatusCreated {
		err = json.Unmarshal(text, &session)
	}
	if err != nil || session.Token == "" {
		c.note(&c.failed, "POST /session: %d %.200s %v", status, text, err)
		return
	}
	v.Token = session.Token

	o, ok := c.order(v, fmt.Sprintf("dinner-%d-%d", i, n), menu.Dishes[(i+n)%9].ID) // not the last, which is soon sold out
	if !ok {
		return
	}
	c.mu.Lock()
	c.acked[o.ID] = o
	c.mu.Unlock()
	var again stacktest.Placed
	if err := v.Get("/orders/"+o.ID, &again); err != nil {
		if strings.Contains(err.Error(), "status 404") {
			c.note(&c.wrong, "%v: it was acknowledged", err)
		} else {
			c.note(&c.failed, "%v", err)
		}
	} else if again.ID != o.ID || again.Total != o.Total {
		c.note(&c.wrong, "order %s is shown as %+v", o.ID, again)
	}
}

func (c *crowd) order(v *stacktest.Client, key, dish string) (o stacktest.Placed, ok bool) {
	for until := time.Now().Add(2 * stacktest.Patience); time.Now().Before(until); {
		status, text, err := v.Place(key, order.Item{Dish: dish, Quantity: 1}, "")
		switch {
		case err == nil && (status == http.StatusCreated || status == http.StatusAccepted):
			if err := json.Unmarshal(text, &o); err != nil || o.ID == "" || len(o.Lines) != 1 || o.Lines[0].Dish != dish {
				c.note(&c.wrong, "POST /orders of %s: %d %.300s", dish, status, text)
				return o, false
			}
			return o, true
		case err == nil && status < 500 && status != http.StatusConflict && status != http.StatusTooManyRequests:
			c.note(&c.wrong, "POST /orders: %d %.300s", status, text)
			return o, false
		}
		c.note(&c.failed, "POST /orders: %d %.200s %v", status, text, err)
		select {
		case <-time.After(50 * time.Millisecond): // a customer who clicks again
		case <-c.s.t.Context().Done():
			return o, false
		}
	}
	c.note(&c.wrong, "POST /orders by the key %s was never answered", key)
	return o, false
}

// healthy returns how long it takes until dinners are served again, five in a row.
func (s *stack) healthy(customer int) time.Duration {
	began := time.Now()
	for n, row := 0, 0; row < 5; n++ {
		probe := &crowd{s: s, acked: map[string]stacktest.Placed{}}
		probe.dine(customer, n)
		if len(probe.failed)+len(probe.wrong) == 0 {
			row++
			continue
		}
		row = 0
		if time.Since(began) > stacktest.Patience {
			s.t.Fatalf("not healthy after %v: %v", stacktest.Patience, probe.failed)
		}
	}
	return time.Since(began)
}

// balanced waits until all is settled, and compares the books: of the orders that
// customers were told of none is missing or there twice, each is paid for once, what
// is left of each dish is what was not sold, and each order's mail was sent.
func (s *stack) balanced(c *crowd, start map[string]int) {
	t := s.t
	db := s.books()
	var open int
	require.Eventually(t, func() bool {
		require.NoError(t, db.Get(&open, `SELECT count(*) FROM orders WHERE state IN ('pending', 'cancelling')`))
		return open == 0
	}, 3*stacktest.Patience, 50*time.Millisecond, "orders that are not settled")

	kept := map[string]int64{}
	rows := []struct {
		ID, State string
		Total     int64
	}{}
	require.NoError(t, db.Select(&rows, `SELECT id, state, total FROM orders`))
	for _, row := range rows {
		if row.State == "paid" {
			kept[row.ID] = row.Total
		}
	}
	for id, o := range c.acked {
		total, there := kept[id]
		assert.True(t, there, "order %s was acknowledged as %s, and is not among the paid ones", id, o.State)
		assert.Equal(t, o.Total.Amount, total, "order %s", id)
	}
	assert.Equal(t, kept, stacktest.Charged(t, s.payments.Payments()), "what each order costs, and what was charged for it")

	for _, d := range s.dishes(db) {
		assert.Equal(t, start[d.ID], d.Stock+d.Sold, "%s: those at the start are those left, and those sold", d.ID)
	}
	var odd []string
	require.NoError(t, db.Select(&odd, `SELECT o.id || ' of ' || o.customer || ' is ' || o.state || ' since ' || o.updated || ', created ' || o.created || ', and its dishes are ' || CASE WHEN r.order_id IS NULL THEN 'not reserved' ELSE 'given back' END FROM orders o LEFT JOIN reservations r ON r.order_id = o.id WHERE o.state = 'paid' AND (r.released OR r.order_id IS NULL) UNION SELECT r.order_id || ' reserved since ' || r.made || ', and there is no order' FROM reservations r LEFT JOIN orders o ON o.id = r.order_id WHERE o.id IS NULL AND NOT r.released`))
	assert.Empty(t, odd, "orders without their dishes, and dishes without their order")
	missing := func() (ids []string) {
		sent := map[string]bool{}
		for _, m := range s.mail.Mailbox() {
			sent[m.Args["key"]] = true
		}
		for id := range kept {
			if !sent["confirmation-"+id] {
				ids = append(ids, id)
			}
		}
		return ids
	}
	require.Eventually(t, func() bool { return len(missing()) == 0 }, 3*stacktest.Patience, 100*time.Millisecond, "mail that was not sent")
}

// stocked has so much of each dish that none is sold out. It returns how much of each
// there was in the beginning, before anything was sold.
func (s *stack) stocked() map[string]int {
	db := s.books()
	_, err := db.Exec(`UPDATE dishes SET stock = 1000000`)
	require.NoError(s.t, err)
	start := map[string]int{}
	for _, d := range s.dishes(db) {
		start[d.ID] = d.Stock + d.Sold
	}
	return start
}

// dishes says of each how many are left, and how many are in orders that were paid.
func (s *stack) dishes(db *sqlx.DB) (dishes []struct {
	ID          string
	Stock, Sold int
}) {
	require.NoError(s.t, db.Select(&dishes, `SELECT d.id, d.stock, coalesce((SELECT sum(l.quantity) FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE l.dish = d.id AND o.state = 'paid'), 0) AS sold FROM dishes d`))
	return dishes
}

// One after the other a replica, an edge, memcached and PostgreSQL are killed, while
// customers order, and come back. What was acknowledged is there, once.
func (s *stack) serveTheDinner(t *testing.T) {
	start := s.stocked()
	c := s.crowd(12)
	s.healthy(200)
	for _, role := range strings.Split(*kills, ",") {
		before, _ := c.faults()
		refused := c.refused.Load()
		require.NoError(t, s.Kill(role))
		away := time.Now()
		if role == "postgres" {
			s.outage(c)
			assert.Equal(t, refused, c.refused.Load(), "menus that were not shown while the database was away")
		} else {
			s.healthy(201)
		}
		without := time.Since(away)
		require.NoError(t, s.Start(role))
		back := s.healthy(202)
		after, _ := c.faults()
		t.Logf("%s: away for %v; all is well %v after its return; %d requests without a good answer meanwhile", role, without.Round(time.Millisecond), back.Round(time.Millisecond), len(after)-len(before))
		assert.Less(t, back, 10*time.Second, "until all is well again, after %s is back", role)
	}
	c.leave()
	_, wrong := c.faults()
	require.Empty(t, wrong, "what a customer must never see")
	require.NotEmpty(t, c.acked)
	s.balanced(c, start)
	t.Logf("%d orders were acknowledged, %d menus shown", len(c.acked), c.menus.Load())
}

// outage waits until customers have noticed that the database is away, and has the menu
// shown 300 times meanwhile.
func (s *stack) outage(c *crowd) {
	before, _ := c.faults()
	require.Eventually(s.t, func() bool {
		after, _ := c.faults()
		return len(after) > len(before)
	}, stacktest.Patience, 10*time.Millisecond, "orders without a database")
	v := s.Client(203)
	defer v.Leave()
	for range 300 {
		var menu struct{}
		require.NoError(s.t, v.Get("/menu", &menu))
	}
}

// Each role is ended and started again, as at a release, and no customer notices.
func (s *stack) rollingRestart(t *testing.T) {
	start := s.stocked()
	c := s.crowd(8)
	s.healthy(200)
	// Never two of one kind at once.
	for _, group := range [][]string{{"a", "edge1", "worker"}, {"b", "edge2", "dns"}, {"c", "balancer"}} {
		began := time.Now()
		require.NoError(t, s.Restart(group...))
		s.healthy(201)
		failed, wrong := c.faults()
		require.Empty(t, append(failed, wrong...), "after %v", group)
		t.Logf("%v: %v", group, time.Since(began).Round(time.Millisecond))
	}
	c.leave()
	failed, wrong := c.faults()
	require.Empty(t, append(failed, wrong...), "what customers noticed")
	s.balanced(c, start)
	t.Logf("%d orders, %d menus, and no failed request", len(c.acked), c.menus.Load())
}
