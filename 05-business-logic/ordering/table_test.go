package ordering_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/05-business-logic/memory"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/ordering"
	"clicktocode.example/05-business-logic/ordertest"
	"clicktocode.example/05-business-logic/solution/idempotency"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a service with all that it works with, in which faults can be put.
type house struct {
	*ordering.Service
	faults   *ordertest.Faults
	stock    *memory.Stock
	payments *memory.Payments
	orders   *memory.Orders
	mailer   *memory.Mailer
	keys     *idempotency.Keys
	now      atomic.Int64 // nanoseconds since epoch
}

func newHouse(t *testing.T, left map[string]int) *house {
	t.Helper()
	h := &house{stock: memory.NewStock(left), payments: memory.NewPayments(), orders: memory.NewOrders(), mailer: memory.NewMailer()}
	h.faults = ordertest.NewFaults(order.Ports{Menu: memory.NewMenu(dishes), Stock: h.stock, Payments: h.payments, Orders: h.orders})
	var err error
	h.Service, err = ordering.New(ordering.Config{
		Ports: h.faults.Ports(), Mailer: h.mailer, Recipient: func(customer string) string { return customer + "@example.com" },
		Interval: interval, Log: quiet, Now: func() time.Time { return epoch.Add(time.Duration(h.now.Load())) },
	})
	require.NoError(t, err)
	h.keys, err = idempotency.New(idempotency.Config{})
	require.NoError(t, err)
	return h
}

// tea is ada's order of two teas, under her key.
func (h *house) tea(ctx context.Context, key string) (o order.Order, err error) {
	_, _, onceErr := h.keys.Do(ctx, "ada", key, []byte("tea"), func(ctx context.Context) (idempotency.Answer, error) {
		o, err = h.Place(ctx, order.Request{Customer: "ada", Items: []order.Item{{Dish: "tea", Quantity: 2}}, Method: "pm_card_visa"})
		if err != nil {
			return idempotency.Answer{Status: 503}, err
		}
		return idempotency.Answer{Status: 201}, nil
	})
	if err == nil {
		err = onceErr
	}
	return o, err
}

// books is where everything stands.
type books struct {
	Stock  int    // teas left, of 9
	Money  int64  // collected and not paid back
	Orders string // the states of all orders
	Mails  int
}

func (h *house) books(t *testing.T) (b books) {
	t.Helper()
	require.NoError(t, h.Close(context.Background())) // sends the mail that waits
	left, err := h.stock.Left(t.Context())
	require.NoError(t, err)
	b.Stock = left["tea"]
	for _, p := range h.payments.Book() {
		if p.ID != "" && !p.Refunded {
			b.Money += p.Charge.Amount.Amount
		}
	}
	all, err := h.orders.List(t.Context(), order.Query{Limit: 100})
	require.NoError(t, err)
	for i, o := range all {
		if i > 0 {
			b.Orders += " "
		}
		b.Orders += string(o.State)
	}
	b.Mails = len(h.mailer.Sent())
	return b
}

func lost(context.Context) error { return fmt.Errorf("reset: %w", order.ErrUnknown) }
func down(context.Context) error { return fmt.Errorf("no route: %w", order.ErrUnavailable) }

// TestTable is the table in the chapter's README: what a double click, a lost answer,
// a failed payment and a cancelled request do.
func TestTable(t *testing.T) {
	const two = 620 // two teas
	bought, nothing := books{7, two, "paid", 1}, books{9, 0, "", 0}
	for _, row := range []struct {
		name string
		do   func(t *testing.T, h *house)
		want books
	}{
		{"all_is_well", func(t *testing.T, h *house) {
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			assert.Equal(t, order.Paid, o.State)
		}, bought},
		{"a_double_click", func(t *testing.T, h *house) {
			var both sync.WaitGroup
			var placed atomic.Int32
			for range 2 {
				both.Go(func() {
					switch _, err := h.tea(t.Context(), "k"); {
					case err == nil:
						placed.Add(1)
					default:
						assert.ErrorIs(t, err, idempotency.ErrInFlight)
					}
				})
			}
			both.Wait()
			assert.NotZero(t, placed.Load())
		}, bought},
		{"a_second_click_later", func(t *testing.T, h *house) {
			for range 2 {
				_, err := h.tea(t.Context(), "k")
				require.NoError(t, err)
			}
		}, bought},
		{"the_payment_is_declined", func(t *testing.T, h *house) {
			_, err := h.Place(t.Context(), order.Request{Customer: "ada", Items: []order.Item{{Dish: "tea", Quantity: 2}}, Method: memory.Declined})
			require.ErrorIs(t, err, order.ErrDeclined)
		}, nothing},
		{"not_enough_is_left", func(t *testing.T, h *house) {
			_, err := h.Place(t.Context(), order.Request{Customer: "ada", Items: []order.Item{{Dish: "tea", Quantity: 10}}, Method: "pm_card_visa"})
			require.ErrorIs(t, err, order.ErrSoldOut)
		}, nothing},
		{"the_payment_provider_is_away", func(t *testing.T, h *house) {
			h.faults.Before(ordertest.Charge, down)
			_, err := h.tea(t.Context(), "k")
			require.ErrorIs(t, err, order.ErrUnavailable)
		}, nothing},
		{"the_payments_answer_is_lost", func(t *testing.T, h *house) {
			h.faults.After(ordertest.Charge, lost)
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			assert.Equal(t, order.Pending, o.State)
		}, books{7, two, "pending", 0}},
		{"the_payments_answer_is_lost_and_the_loop_asks_again", func(t *testing.T, h *house) {
			h.faults.After(ordertest.Charge, lost)
			_, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			h.faults.After(ordertest.Charge, nil)
			h.now.Add(int64(2 * interval))
			require.NoError(t, h.Settle(t.Context()))
		}, bought},
		{"the_payment_never_arrived_and_the_loop_asks_again", func(t *testing.T, h *house) {
			h.faults.Before(ordertest.Charge, lost)
			_, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			h.faults.Before(ordertest.Charge, func(context.Context) error { return fmt.Errorf("card: %w", order.ErrDeclined) })
			h.now.Add(int64(2 * interval))
			require.NoError(t, h.Settle(t.Context()))
		}, books{9, 0, "cancelled", 0}},
		{"the_webhook_settles_it", func(t *testing.T, h *house) {
			h.faults.After(ordertest.Charge, lost)
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			p := h.payments.Book()[0]
			h.faults.After(ordertest.Charge, nil)
			for range 2 { // it is told twice
				require.NoError(t, h.SettlePayment(t.Context(), ordering.Payment{ID: p.ID, Order: o.ID, Amount: p.Charge.Amount, Paid: true, At: epoch}))
			}
		}, bought},
		{"the_order_cannot_be_saved", func(t *testing.T, h *house) {
			h.faults.Before(ordertest.Create, down)
			_, err := h.tea(t.Context(), "k")
			require.ErrorIs(t, err, order.ErrUnavailable)
		}, nothing},
		{"the_saves_answer_is_lost_and_the_customer_asks_again", func(t *testing.T, h *house) {
			h.faults.After(ordertest.Create, lost)
			_, _ = h.tea(t.Context(), "k")
			h.faults.After(ordertest.Create, nil)
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			assert.Equal(t, order.Paid, o.State)
		}, bought},
		{"the_customer_leaves_while_it_is_charged", func(t *testing.T, h *house) {
			ctx, leave := context.WithCancel(t.Context())
			h.faults.After(ordertest.Charge, func(context.Context) error { leave(); return nil })
			_, _ = h.tea(ctx, "k")
			h.now.Add(int64(2 * interval))
			require.NoError(t, h.Settle(t.Context()))
		}, bought},
		{"the_customer_leaves_before_it_is_charged", func(t *testing.T, h *house) {
			ctx, leave := context.WithCancel(t.Context())
			h.faults.After(ordertest.Reserve, func(context.Context) error { leave(); return nil })
			_, err := h.tea(ctx, "k")
			require.Error(t, err)
		}, nothing},
		{"the_customer_cancels", func(t *testing.T, h *house) {
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			o, err = h.Cancel(t.Context(), "ada", o.ID)
			require.NoError(t, err)
			assert.Equal(t, order.Cancelled, o.State)
		}, books{9, 0, "cancelled", 1}},
		{"the_customer_cancels_and_the_refunds_answer_is_lost", func(t *testing.T, h *house) {
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			h.faults.After(ordertest.Refund, lost)
			o, err = h.Cancel(t.Context(), "ada", o.ID)
			require.NoError(t, err)
			assert.Equal(t, order.Cancelling, o.State)
			h.faults.After(ordertest.Refund, nil)
			h.now.Add(int64(2 * interval))
			require.NoError(t, h.Settle(t.Context()))
		}, books{9, 0, "cancelled", 1}},
		{"the_customer_cancels_too_late", func(t *testing.T, h *house) {
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			_, err = h.Advance(t.Context(), o.ID, order.Preparing)
			require.NoError(t, err)
			_, err = h.Cancel(t.Context(), "ada", o.ID)
			require.ErrorIs(t, err, order.ErrState)
		}, books{7, two, "preparing", 1}},
		{"another_customer_asks_for_it", func(t *testing.T, h *house) {
			o, err := h.tea(t.Context(), "k")
			require.NoError(t, err)
			_, err = h.Get(t.Context(), "bob", o.ID)
			require.ErrorIs(t, err, order.ErrNotFound)
			_, err = h.Cancel(t.Context(), "bob", o.ID)
			require.ErrorIs(t, err, order.ErrNotFound)
		}, bought},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHouse(t, map[string]int{"ramen": 12, "tea": 9})
			row.do(t, h)
			assert.Equal(t, row.want, h.books(t), "teas left of 9, money that was kept, orders, mails")
		})
	}
}

var doubleClicks = flag.Duration("doubleclicks", 300*time.Millisecond, "how long TestDoubleClicks clicks")

// A hundred customers click twice, again and again. To click for longer:
//
//	go test ./ordering -run TestDoubleClicks -v -doubleclicks 10s
func TestDoubleClicks(t *testing.T) {
	const enough = 10_000_000
	h := newHouse(t, map[string]int{"tea": enough})
	var placed, inFlight atomic.Int64
	var customers sync.WaitGroup
	until := time.Now().Add(*doubleClicks)
	for c := range 100 {
		customers.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				var both sync.WaitGroup
				var done atomic.Bool
				for range 2 {
					both.Go(func() {
						switch _, err := h.tea(t.Context(), fmt.Sprintf("%d-%d", c, n)); {
						case err == nil:
							done.Store(true)
						case errors.Is(err, idempotency.ErrInFlight):
							inFlight.Add(1)
						default:
							assert.NoError(t, err)
						}
					})
				}
				both.Wait()
				if assert.True(t, done.Load(), "neither of two clicks was answered with the order") {
					placed.Add(1)
				}
			}
		})
	}
	customers.Wait()
	left, err := h.stock.Left(t.Context())
	require.NoError(t, err)
	require.NoError(t, h.Close(t.Context()))
	assert.EqualValues(t, placed.Load(), len(h.payments.Book()), "charges")
	assert.EqualValues(t, enough-2*placed.Load(), left["tea"], "teas left")
	assert.NotZero(t, placed.Load())
	t.Logf("%d orders in %v, %d second clicks met the first one", placed.Load(), *doubleClicks, inFlight.Load())
}
