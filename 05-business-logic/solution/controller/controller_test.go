package controller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// two is a body that is an order.
const two = `{"lines": [{"dish": "ramen", "quantity": 2}, {"dish": "tea", "quantity": 1}], "payment_method": "pm_card_mastercard"}`

func TestPlace(t *testing.T) {
	t.Run("asks_the_service_for_what_was_ordered", func(t *testing.T) {
		s := newShop(t)
		_ = s.post(two)
		require.Len(t, s.placed, 1, "POST /orders with %s: calls of the service's Place. place reads the body by bind, and calls s.service.Place once", two)
		assert.Equal(t, []order.Item{{Dish: "ramen", Quantity: 2}, {Dish: "tea", Quantity: 1}}, s.placed[0].Items, "POST /orders with %s: the Items that Place got", two)
	})

	t.Run("orders_in_the_name_of_who_asks", func(t *testing.T) {
		s := newShop(t)
		_ = s.post(two)
		require.Len(t, s.placed, 1, "POST /orders with %s: calls of the service's Place. place reads the body by bind, and calls s.service.Place once", two)
		_ = s.post(`{"lines": [{"dish": "ramen", "quantity": 2}], "customer": "bob"}`) // may be refused, or not
		for i, r := range s.placed {
			require.Equal(t, "ada", r.Customer, "POST /orders by ada, whose token was checked, with %s: the Customer that Place got. Who orders is the request's principal (request.From). What is in a body, anybody can write, and bob would pay", []string{two, `"customer": "bob" in the body`}[i])
		}
	})

	t.Run("orders_in_the_name_of_a_cook_too", func(t *testing.T) {
		s := newShop(t)
		s.who = &request.Principal{Subject: "chef", Scopes: []string{controller.ScopeWrite, controller.ScopeKitchen}}
		_ = s.post(two)
		require.Len(t, s.placed, 1, "POST /orders with %s, by a cook: calls of the service's Place", two)
		assert.Equal(t, "chef", s.placed[0].Customer, "POST /orders by chef, who may do what the kitchen does: the Customer that Place got. To look at orders, the kitchen is everybody (whose), which is an empty customer; who orders has a name, and pays")
	})

	t.Run("pays_by_what_the_body_names", func(t *testing.T) {
		s := newShop(t)
		_ = s.post(two)
		require.Len(t, s.placed, 1, "POST /orders with %s: calls of the service's Place. place reads the body by bind, and calls s.service.Place once", two)
		assert.Equal(t, "pm_card_mastercard", s.placed[0].Method, "POST /orders with %s: the Method that Place got", two)
	})

	t.Run("pays_by_the_usual_where_the_body_names_nothing", func(t *testing.T) {
		s := newShop(t)
		const body = `{"lines": [{"dish": "ramen", "quantity": 2}]}`
		_ = s.post(body)
		require.Len(t, s.placed, 1, "POST /orders with %s: calls of the service's Place. place reads the body by bind, and calls s.service.Place once", body)
		assert.Equal(t, "pm_card_visa", s.placed[0].Method, "POST /orders with %s, and Config.Method is pm_card_visa: the Method that Place got", body)
	})

	t.Run("leaves_it_to_the_service_where_nobody_names_anything", func(t *testing.T) {
		s := newShop(t)
		s.config.Method = ""
		const body = `{"lines": [{"dish": "ramen", "quantity": 2}]}`
		_ = s.post(body)
		require.Len(t, s.placed, 1, "POST /orders with %s, and Config.Method is empty: calls of the service's Place. Whether an order needs a method is the service's to say", body)
		assert.Empty(t, s.placed[0].Method, "POST /orders with %s, and Config.Method is empty: the Method that Place got", body)
	})

	t.Run("goes_by_the_request's_context", func(t *testing.T) {
		s := newShop(t)
		_ = s.post(two)
		require.Len(t, s.placed, 1, "POST /orders with %s: calls of the service's Place. place reads the body by bind, and calls s.service.Place once", two)
		assert.Equal(t, "here", s.ctx.Value(ctxKey{}), "a value of the request's context (c.Request.Context()), in the context that Place got: without it, the work goes on when the client has left and when the time is up")
	})

	t.Run("answers_201", func(t *testing.T) {
		s := newShop(t)
		got := s.post(two)
		assert.Equal(t, http.StatusCreated, got.Code, "POST /orders, and Place returned an order that is paid: the status. Something new is there now (RFC 9110 §15.3.2)")
	})

	t.Run("sends_the_order", func(t *testing.T) {
		got := newShop(t).post(two)
		require.Contains(t, got.Result().Header.Get("Content-Type"), "application/json", "POST /orders, and Place returned an order: the answer's Content-Type. reply sends an order")
		assert.JSONEq(t, paidJSON, got.Body.String(), "POST /orders, and Place returned an order: the answer's body. reply sends an order")
	})

	t.Run("sends_it_by_reply", func(t *testing.T) {
		s := newShop(t)
		var rendered any
		s.config.Render = func(c *gin.Context, status int, answer any) { rendered = answer; c.Status(status) }
		_ = s.post(two)
		assert.IsType(t, &controller.Order{}, rendered, "POST /orders, and Place returned an order: what Config.Render was given. s.reply asks it, which may send an order as something else than JSON, and keeps it out of caches")
	})

	t.Run("sends_its_Location", func(t *testing.T) {
		s := newShop(t)
		got := s.post(two)
		location := s.located(got)
		assert.Equal(t, "/orders/17", location, "POST /orders, and Place returned order 17: the path that the field Location %q leads to, for a client that asked for /orders. It must be the path of the order. (\"17\" alone leads to /17: it is looked up beside /orders, not below it, see RFC 3986 §5.2.3)", got.Result().Header.Get("Location"))
	})

	t.Run("sends_the_Location_below_its_own_route", func(t *testing.T) {
		s := newShop(t)
		s.prefix = "/v2"
		got := s.post(two)
		location := s.located(got)
		assert.Equal(t, "/v2/orders/17", location, "POST /v2/orders, and Place returned order 17: the path that the field Location %q leads to. The routes are registered in a group, under /v2, and only there can the order be found: c.FullPath() is the route that was asked for", got.Result().Header.Get("Location"))
	})

	t.Run("answers_202_while_the_payment_is_open", func(t *testing.T) {
		s := newShop(t)
		s.order.State = order.Pending
		got := s.post(two)
		assert.Equal(t, http.StatusAccepted, got.Code, "POST /orders, and Place returned an order in state pending: the status. Nobody knows yet whether it was paid, so it may come to nothing: that is 202, Accepted (RFC 9110 §15.3.3). Who reads 201 goes to lay the table")
	})

	t.Run("answers_201_in_every_other_state", func(t *testing.T) {
		for _, state := range order.States() {
			if state == order.Pending {
				continue
			}
			s := newShop(t)
			s.order.State = state
			got := s.post(two)
			require.Equal(t, http.StatusCreated, got.Code, "POST /orders for the second time, with the same Idempotency-Key, and Place returned the order as it stands by now, in state %s: the status. 202 says that it may come to nothing, and that is so in state pending alone", state)
		}
	})

	t.Run("tells_where_to_look_while_the_payment_is_open", func(t *testing.T) {
		s := newShop(t)
		s.order.State = order.Pending
		got := s.post(two)
		location := s.located(got)
		assert.Equal(t, "/orders/17", location, "POST /orders, and Place returned order 17 in state pending: the path that the field Location %q leads to. With a 202, it is all that the customer has to find out what became of it (RFC 9110 §15.3.3)", got.Result().Header.Get("Location"))
	})

	t.Run("says_by_the_status_that_it_failed", func(t *testing.T) {
		s := newShop(t)
		s.err = order.ErrSoldOut
		got := s.post(two)
		assert.GreaterOrEqual(t, got.Code, 400, "POST /orders, and Place returned the error %q: the status. Programs look at the status, and so do balancers, caches and the idempotency keys: 2xx says that there is an order (RFC 9110 §15.3). What was sent: %s", s.err, got.Body)
	})

	t.Run("tells_a_failure_by_a_problem", func(t *testing.T) {
		s := newShop(t)
		s.err = order.ErrSoldOut
		got := s.post(two)
		isProblem(t, got, fmt.Sprintf("POST /orders, and Place returned the error %q", s.err))
	})

	t.Run("names_no_Location_of_what_failed", func(t *testing.T) {
		s := newShop(t)
		s.err = order.ErrDeclined
		got := s.post(two)
		require.NotEmpty(t, got.Body, "POST /orders, and Place returned the error %q: there is no answer. refuse answers an error", s.err)
		assert.Empty(t, got.Result().Header.Get("Location"), "POST /orders, and Place returned the error %q, and an order beside it that counts for nothing: the field Location. There is no order", s.err)
	})

	t.Run("sends_one_answer", func(t *testing.T) {
		s := newShop(t)
		s.err = order.ErrDeclined
		got := s.post(two)
		assert.True(t, json.Valid(got.Body.Bytes()), "POST /orders, and Place returned the error %q: one problem, and nothing behind it. A return is missing behind refuse. What was sent: %s", s.err, got.Body)
	})
}

// Bodies that are no orders. bind, which is given, tells them: it has to be asked.
func TestPlaceBadBodies(t *testing.T) {
	for _, row := range []struct{ name, body, why string }{
		{"refuses_what_is_not_JSON", `lines=ramen`, "this is no JSON"},
		{"refuses_nothing_at_all", ``, "there is no body"},
		{"refuses_half_an_order", `{"lines": [{"dish": "ramen", "quant`, "the body ends in the middle"},
		{"refuses_a_list", `[{"dish": "ramen", "quantity": 2}]`, "an order is an object"},
		{"refuses_a_quantity_that_is_text", `{"lines": [{"dish": "ramen", "quantity": "2"}]}`, "a quantity is a number"},
		{"refuses_half_a_dish", `{"lines": [{"dish": "ramen", "quantity": 1.5}]}`, "a quantity is a whole number"},
		{"refuses_a_quantity_without_end", `{"lines": [{"dish": "ramen", "quantity": 99999999999999999999}]}`, "no int holds it"},
		{"refuses_fields_that_it_does_not_know", `{"lines": [{"dish": "ramen", "quantity": 2}], "discount": 10000}`, "there is no field discount. Let pass in silence, it is lost in silence: the customer believes that it counts"},
		{"refuses_fields_that_are_misspelt", `{"lines": [{"dish": "ramen", "quantity": 2, "quantitiy": 3}]}`, "the customer wanted 3"},
		{"refuses_what_stands_behind_the_order", `{"lines": [{"dish": "ramen", "quantity": 2}]} {"lines": []}`, "a body is one order. Decode reads one value, and does not look behind it"},
		{"refuses_a_name_that_comes_twice", `{"lines": [{"dish": "ramen", "quantity": 2, "quantity": 90}]}`, "quantity comes twice, and each who reads it chooses for himself (RFC 8259 §4)"},
		{"refuses_names_in_another_case", `{"LINES": [{"dish": "ramen", "quantity": 2}]}`, "LINES is not lines, though encoding/json takes it for that"},
		{"refuses_what_is_not_UTF-8", "{\"lines\": [{\"dish\": \"ram\xe9n\", \"quantity\": 2}]}", "JSON is UTF-8 (RFC 8259 §8.1), and this would be read as another name"},
		{"refuses_null", `null`, "an order is an object"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newShop(t)
			got := s.post(row.body)
			require.Equal(t, http.StatusBadRequest, got.Code, "POST /orders with %q: the status. It must be refused, since %s. bind refuses it, if it is asked", row.body, row.why)
			isProblem(t, got, fmt.Sprintf("POST /orders with %q", row.body))
		})
	}

	t.Run("asks_the_service_for_none_of_that", func(t *testing.T) {
		s := newShop(t)
		_ = s.post(two)
		require.Len(t, s.placed, 1, "POST /orders with %s: calls of the service's Place. place reads the body by bind, and calls s.service.Place once", two)
		got := s.post(`{"lines": [{"dish": "ramen", "quantity": 2}], "discount": 10000}`)
		assert.Len(t, s.placed, 1, "POST /orders with a body that bind has refused, with %d: the service must not be asked. Where bind returns false, there is nothing left to do", got.Code)
	})

	t.Run("refuses_what_is_too_large", func(t *testing.T) {
		s := newShop(t)
		body := `{"lines": [` + strings.Repeat(`{"dish": "ramen", "quantity": 2},`, 200) + `]}`
		got := s.post(body)
		require.Equal(t, http.StatusRequestEntityTooLarge, got.Code, "POST /orders with %d octets, where package validate lets 4096 through: the status (RFC 9110 §15.5.14). bind says it, if it is asked", len(body))
		isProblem(t, got, "POST /orders with a body that is too large")
	})

	t.Run("leaves_it_to_the_service_to_judge_an_order", func(t *testing.T) {
		s := newShop(t)
		const body = `{"lines": [{"dish": "no such dish", "quantity": -1}]}`
		_ = s.post(body)
		require.Len(t, s.placed, 1, "POST /orders with %s, which is in the form of an order: calls of Place. What may be ordered is the service's to say: rules that stand in two places come to differ", body)
	})
}

// errDatabase is an error as it comes from deep inside.
var errDatabase = errors.New(`pq: dial tcp 10.0.0.7:5432: password of "orders_rw" expired`)

// The problems, told by a handler that is given: GET /orders/17 calls refuse.
func TestProblemOf(t *testing.T) {
	kinds := []struct {
		leaf   string
		err    error
		status int
		name   string
		why    string
	}{
		{"what_is_invalid_is_422", order.ErrInvalid, 422, "invalid", "the body is JSON, and the order in it is wrong (RFC 9110 §15.5.21)"},
		{"what_is_sold_out_is_409", order.ErrSoldOut, 409, "sold-out", "the request is right, and what is there does not allow it (RFC 9110 §15.5.10)"},
		{"what_was_declined_is_402", order.ErrDeclined, 402, "declined", "Payment Required (RFC 9110 §15.5.3)"},
		{"what_is_not_there_is_404", order.ErrNotFound, 404, "not-found", "RFC 9110 §15.5.5"},
		{"what_the_state_forbids_is_409", order.ErrState, 409, "state", "what is there does not allow it (RFC 9110 §15.5.10)"},
		{"what_was_changed_meanwhile_is_409", order.ErrConflict, 409, "conflict", "the request is in conflict with another one (RFC 9110 §15.5.10)"},
		{"what_cannot_be_reached_is_503", order.ErrUnavailable, 503, "unavailable", "it is us, and for a while only (RFC 9110 §15.6.4)"},
		{"what_is_unknown_is_504", order.ErrUnknown, 504, "unknown", "we asked somebody, and got no answer in time (RFC 9110 §15.6.5)"},
		{"anything_else_is_500", errDatabase, 500, "internal", "what we do not know is our fault until we know better. A 4xx says that the customer has to change something, and nobody is woken up (RFC 9110 §15.6.1)"},
	}
	for _, k := range kinds {
		t.Run(k.leaf, func(t *testing.T) {
			got := newShop(t).fails(k.err)
			assert.Equal(t, k.status, got.Code, "the service returned the error %q: the status, since %s", k.err, k.why)
		})
	}

	t.Run("each_has_a_type_of_its_own", func(t *testing.T) {
		for _, k := range kinds {
			got := isProblem(t, newShop(t).fails(k.err), fmt.Sprintf("the service returned the error %q", k.err))
			require.Equal(t, "https://shop.test/problems/"+k.name, got["type"], "the service returned the error %q: the problem's type. Three kinds of problems have the status 409, and a program tells them apart by this (RFC 9457 §3.1.1). kind puts it in", k.err)
		}
	})

	t.Run("each_says_what_to_do", func(t *testing.T) {
		for _, k := range kinds {
			got := isProblem(t, newShop(t).fails(k.err), fmt.Sprintf("the service returned the error %q", k.err))
			require.NotEmpty(t, got["detail"], "the service returned the error %q: the problem's detail, which is what the customer reads (RFC 9457 §3.1.4)", k.err)
		}
	})

	t.Run("looks_through_what_wraps_it", func(t *testing.T) {
		for _, k := range kinds {
			wrapped := fmt.Errorf("service: order 17: %w", fmt.Errorf("placeorder: %w", k.err))
			require.Equal(t, k.status, newShop(t).fails(wrapped).Code, "the service returned the error %q, which wraps %q: the status. Each who passes an error on wraps it, so == finds nothing; errors.Is looks into it", wrapped, k.err)
		}
	})

	t.Run("finds_it_among_several", func(t *testing.T) {
		for _, k := range kinds[:6] {
			joined := errors.Join(fmt.Errorf("placeorder: charge: %w", k.err), errors.New("placeorder: release: dial tcp 10.0.0.7:5432"))
			require.Equal(t, k.status, newShop(t).fails(joined).Code, "the service returned two errors in one (errors.Join), %q: the status. errors.Is looks into each of them", joined)
		}
	})

	t.Run("says_unknown_if_that_is_among_several", func(t *testing.T) {
		for _, k := range kinds[:7] {
			joined := errors.Join(fmt.Errorf("save: %w", k.err), fmt.Errorf("charge: %w", order.ErrUnknown))
			require.Equal(t, http.StatusGatewayTimeout, newShop(t).fails(joined).Code, "the service returned two errors in one, %q: the status. Whatever else went wrong, the customer may have been charged, so nobody must say that it was not done: look for ErrUnknown first", joined)
		}
	})

	t.Run("the_first_in_the_table_counts", func(t *testing.T) {
		table := []struct {
			name string
			errs []error
		}{
			{"unknown", []error{order.ErrUnknown}},
			{"invalid", []error{order.ErrInvalid, &order.InvalidError{Field: "lines", What: "must be 1 to 50"}}},
			{"sold-out", []error{order.ErrSoldOut, &order.SoldOutError{Dish: "ramen", Left: 3}}},
			{"declined", []error{order.ErrDeclined}},
			{"not-found", []error{order.ErrNotFound}},
			{"state", []error{order.ErrState, &order.StateError{From: order.Dispatched, To: order.Cancelled}}},
			{"conflict", []error{order.ErrConflict}},
			{"unavailable", []error{order.ErrUnavailable}},
			{"internal", []error{errDatabase}},
		}
		check := func(first, second string, err error) {
			t.Helper()
			got := isProblem(t, newShop(t).fails(err), fmt.Sprintf("the service returned two errors in one, %q", err))
			require.Equal(t, "https://shop.test/problems/"+first, got["type"], "the service returned two errors in one, %q: the problem's type. In the table of problemOf, %s stands before %s, and the first in the table counts, whichever of the two came first. A card that was declined stays declined, though the release behind it could not be sent", err, first, second)
		}
		for i, first := range table {
			for _, second := range table[i+1:] {
				for _, a := range first.errs {
					for _, b := range second.errs {
						check(first.name, second.name, errors.Join(fmt.Errorf("placeorder: %w", a), fmt.Errorf("undo: %w", b)))
						check(first.name, second.name, errors.Join(fmt.Errorf("placeorder: %w", b), fmt.Errorf("undo: %w", a)))
					}
				}
			}
		}
	})

	t.Run("knows_the_errors_of_a_type", func(t *testing.T) {
		for _, row := range []struct {
			err    error
			status int
		}{
			{&order.SoldOutError{Dish: "ramen", Left: 3}, 409},
			{&order.StateError{From: order.Dispatched, To: order.Cancelled}, 409},
			{&order.InvalidError{Field: "lines[2].quantity", What: "must be 1 to 100"}, 422},
		} {
			require.Equal(t, row.status, newShop(t).fails(fmt.Errorf("service: %w", row.err)).Code, "the service returned a %T, wrapped: the status", row.err)
		}
	})

	t.Run("names_each_fault_of_an_order", func(t *testing.T) {
		err := fmt.Errorf("service: %w", errors.Join(
			&order.InvalidError{Field: "lines[0].dish", What: "is not on the menu"},
			&order.InvalidError{Field: "lines[2].quantity", What: "must be 1 to 100"},
		))
		got := isProblem(t, newShop(t).fails(err), "the service returned two InvalidErrors in one")
		for _, part := range []string{"lines[0].dish", "is not on the menu", "lines[2].quantity", "must be 1 to 100"} {
			require.Contains(t, got["detail"], part, "the service returned two InvalidErrors in one, %q: the problem's detail has the Field and the What of both, so that the customer mends both at once. faults finds them; errors.As finds the first one", err)
		}
	})

	t.Run("names_the_dish_that_is_sold_out", func(t *testing.T) {
		err := fmt.Errorf("service: %w", &order.SoldOutError{Dish: "gyoza", Left: 3})
		got := isProblem(t, newShop(t).fails(err), "the service returned a SoldOutError")
		for _, part := range []string{"gyoza", "3"} {
			require.Contains(t, got["detail"], part, "the service returned a *SoldOutError with the Dish gyoza and 3 Left, wrapped: the problem's detail names both, and the customer can order 3. errors.As finds it")
		}
	})

	t.Run("names_the_state_that_the_order_is_in", func(t *testing.T) {
		err := fmt.Errorf("service: %w", &order.StateError{From: order.Dispatched, To: order.Cancelled})
		got := isProblem(t, newShop(t).fails(err), "the service returned a StateError")
		assert.Contains(t, got["detail"], "dispatched", "the service returned a *StateError from dispatched to cancelled, wrapped: the problem's detail names the state that the order is in. errors.As finds it")
	})

	t.Run("promises_nothing_of_what_is_unknown", func(t *testing.T) {
		got := isProblem(t, newShop(t).fails(order.ErrUnknown), fmt.Sprintf("the service returned the error %q", order.ErrUnknown))
		detail, _ := got["detail"].(string)
		require.NotEmpty(t, detail, "the service returned the error %q: the problem's detail", order.ErrUnknown)
		assert.False(t, promises.MatchString(detail) && !hedges.MatchString(detail), "the service returned the error %q: the problem's detail is %q. It may have been done, and may not: whoever reads that nothing was, orders again, and pays twice", order.ErrUnknown, detail)
	})

	t.Run("says_of_no_order_that_it_is_another's", func(t *testing.T) {
		got := isProblem(t, newShop(t).fails(order.ErrNotFound), fmt.Sprintf("the service returned the error %q", order.ErrNotFound))
		detail, _ := got["detail"].(string)
		require.NotEmpty(t, detail, "the service returned the error %q: the problem's detail", order.ErrNotFound)
		assert.False(t, anothers.MatchString(detail) && !hedges.MatchString(detail), "the service returned the error %q: the problem's detail is %q. The order is another's, or is not there: which one, is not said, or whoever tries all numbers learns which orders there are", order.ErrNotFound, detail)
	})

	t.Run("keeps_the_error's_text_inside", func(t *testing.T) {
		known := []error{&order.SoldOutError{Dish: "ramen", Left: 3}, &order.StateError{From: order.Paid, To: order.Delivered}, &order.InvalidError{Field: "lines", What: "must be 1 to 50"}}
		for _, k := range kinds {
			known = append(known, k.err)
		}
		for _, err := range known {
			err = fmt.Errorf("placeorder: host db-3: %w (%w)", err, errDatabase)
			got := newShop(t).fails(err)
			members := isProblem(t, got, fmt.Sprintf("the service returned the error %q", err))
			require.NotEmpty(t, members["detail"], "the service returned the error %q: the problem's detail", err)
			for _, secret := range []string{"pq:", "10.0.0.7", "5432", "orders_rw", "db-3", "placeorder", "order: "} {
				require.NotContains(t, got.Body.String(), secret, "the service returned the error %q, and %q got out. An error's text is for those who run this: it names hosts, tables and users. The customer gets words that stand in problemOf, and the fields of a known error", err, secret)
			}
		}
	})
}

// What a problem's detail must not say, in the usual words, unless it says that this
// is not sure: with one of hedges.
var (
	promises = regexp.MustCompile(`(?i)\bnothing (was|has been) (charged|done|collected|placed|paid)\b|\b(was|has) not been (charged|done|placed|paid)\b|\bwas(n't| not) (charged|done|placed|paid)\b`)
	anothers = regexp.MustCompile(`(?i)\b((some|any)(body|one) else|another('s|’s| (customer|person|user|guest))|belongs to|not yours|isn't yours)`)
	hedges   = regexp.MustCompile(`(?i)\b(or|may|might|could|maybe|perhaps|possibly|whether|if|unknown|unclear|know|known|sure|certain|no such|no order|not found|not there|does not exist)\b`)
)

// What is given, and works before anything is written.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("Get_asks_for_the_customer's_own", func(t *testing.T) {
		s := newShop(t)
		got := s.get("/orders/17")
		require.Equal(t, http.StatusOK, got.Code)
		assert.JSONEq(t, paidJSON, got.Body.String())
		assert.Equal(t, "no-store", got.Result().Header.Get("Cache-Control"))
		assert.Equal(t, []string{"get ada 17"}, s.asked)
	})

	t.Run("Get_asks_for_everybody's_to_the_kitchen", func(t *testing.T) {
		s := newShop(t)
		s.who = &request.Principal{Subject: "chef", Scopes: []string{controller.ScopeRead, controller.ScopeKitchen}}
		_ = s.get("/orders/17")
		assert.Equal(t, []string{"get  17"}, s.asked)
	})

	t.Run("takes_no_empty_subject_for_the_kitchen", func(t *testing.T) {
		s := newShop(t)
		s.who.Subject = ""
		_ = s.get("/orders/17")
		_ = s.get("/orders")
		assert.NotContains(t, s.asked, "get  17")
		assert.NotContains(t, s.asked, "list  21")
	})

	t.Run("Cancel_asks_for_the_customer's_own", func(t *testing.T) {
		s := newShop(t)
		got := s.do(http.MethodPost, "/orders/17/cancel", "")
		require.Equal(t, http.StatusOK, got.Code)
		assert.Equal(t, []string{"cancel ada 17"}, s.asked)
	})

	t.Run("Advance_is_the_kitchen's", func(t *testing.T) {
		s := newShop(t)
		got := s.do(http.MethodPost, "/orders/17/advance", `{"to": "preparing"}`)
		require.Equal(t, http.StatusForbidden, got.Code)
		s.who.Scopes = []string{controller.ScopeKitchen}
		got = s.do(http.MethodPost, "/orders/17/advance", `{"to": "preparing"}`)
		require.Equal(t, http.StatusOK, got.Code)
		got = s.do(http.MethodPost, "/orders/17/advance", `{"to": 7}`)
		require.Equal(t, http.StatusBadRequest, got.Code)
		assert.Equal(t, []string{"advance 17 preparing"}, s.asked)
	})

	t.Run("nobody_gets_in", func(t *testing.T) {
		s := newShop(t)
		s.who = nil
		for _, row := range [][2]string{{"GET", "/orders"}, {"GET", "/orders/17"}, {"POST", "/orders"}, {"POST", "/orders/17/cancel"}, {"POST", "/orders/17/advance"}} {
			require.Equal(t, http.StatusUnauthorized, s.do(row[0], row[1], two).Code, "%s", row)
		}
		s.who = &request.Principal{Subject: "eve"}
		for _, row := range [][2]string{{"GET", "/orders"}, {"GET", "/orders/17"}, {"POST", "/orders"}, {"POST", "/orders/17/cancel"}, {"POST", "/orders/17/advance"}} {
			require.Equal(t, http.StatusForbidden, s.do(row[0], row[1], two).Code, "%s", row)
		}
		assert.Empty(t, s.asked)
		assert.Empty(t, s.placed)
	})

	t.Run("List_turns_pages", func(t *testing.T) {
		s := newShop(t)
		base := time.Date(2026, 5, 1, 18, 0, 0, 123456000, time.UTC)
		for i := range 7 {
			s.all = append(s.all, order.Order{ID: fmt.Sprint("o.", 7-i), State: order.Paid, Created: base.Add(-time.Duration(i/2) * time.Microsecond)})
		}
		var seen []string
		path := "/orders?limit=3"
		for range 5 {
			got := s.get(path)
			require.Equal(t, http.StatusOK, got.Code, "%s", got.Body)
			var page struct {
				Orders []struct{ ID string }
				Next   string
			}
			require.NoError(t, json.Unmarshal(got.Body.Bytes(), &page))
			for _, o := range page.Orders {
				seen = append(seen, o.ID)
			}
			if page.Next == "" {
				break
			}
			path = "/orders?limit=3&after=" + page.Next
		}
		assert.Equal(t, []string{"o.7", "o.6", "o.5", "o.4", "o.3", "o.2", "o.1"}, seen)
		assert.Equal(t, []string{"list ada 4", "list ada 4", "list ada 4"}, s.asked, "one more than a page tells whether there is another")
	})

	t.Run("List_of_nothing_is_a_list", func(t *testing.T) {
		assert.JSONEq(t, `{"orders": []}`, newShop(t).get("/orders").Body.String())
	})

	t.Run("List_refuses_what_it_cannot_read", func(t *testing.T) {
		for _, query := range []string{
			"limit=0", "limit=101", "limit=-1", "limit=1e2", "limit=", "limit=3&limit=4", "limit=99999999999999999999", "%zz",
			"state=", "state=eaten", "after=", "after=%00", "after=MTcu", "after=LjE3", "after=" + strings.Repeat("A", 600), "after=OTk5OTk5OTk5OTk5OTk5OTk5OS4xNw", "after=MTc3NzY1ODQwMDAwMDAwMC4A", "a;b", "stat=paid", "Limit=3", "limit=3&page=2", "=",
		} {
			s := newShop(t)
			got := s.get("/orders?" + query)
			require.Equal(t, http.StatusBadRequest, got.Code, "%s", query)
			isProblem(t, got, query)
			require.Empty(t, s.asked, "%s", query)
		}
		assert.Equal(t, http.StatusOK, newShop(t).get("/orders?limit=100&state=paid").Code)
	})

	t.Run("List_names_what_it_does_not_know", func(t *testing.T) {
		got := isProblem(t, newShop(t).get("/orders?state=paid&stat=ready&access_token=eyJ"), "a query with stat")
		assert.Contains(t, got["detail"], `"access_token"`)
		assert.NotContains(t, got["detail"], "eyJ")
	})

	t.Run("asks_for_no_order_that_no_database_keeps", func(t *testing.T) {
		s := newShop(t)
		s.who.Scopes = []string{controller.ScopeRead, controller.ScopeWrite, controller.ScopeKitchen}
		for _, id := range []string{"%00", "17%00", "%ff", "%c3"} { // U+0000, and what is no UTF-8
			for _, got := range []*httptest.ResponseRecorder{
				s.get("/orders/" + id), s.do(http.MethodPost, "/orders/"+id+"/cancel", ""), s.do(http.MethodPost, "/orders/"+id+"/advance", `{"to": "preparing"}`),
			} {
				require.Equal(t, http.StatusNotFound, got.Code, "%s", id)
				isProblem(t, got, id)
			}
		}
		got := s.do(http.MethodPost, "/orders/17/advance", `{"to": "\u0000"}`)
		require.Equal(t, http.StatusBadRequest, got.Code)
		assert.Empty(t, s.asked)
	})
	t.Run("Once_stands_before_Place", func(t *testing.T) {
		s := newShop(t)
		s.config.Once = func(c *gin.Context) { c.AbortWithStatus(http.StatusTeapot) }
		assert.Equal(t, http.StatusTeapot, s.post(two).Code)
		assert.Equal(t, http.StatusOK, s.get("/orders/17").Code)
		s.who = nil
		assert.Equal(t, http.StatusUnauthorized, s.post(two).Code, "and behind the check of the scope")
	})

	t.Run("Render_writes_an_order_and_a_page", func(t *testing.T) {
		s := newShop(t)
		var rendered []any
		s.config.Render = func(c *gin.Context, status int, answer any) {
			rendered = append(rendered, answer)
			c.String(status, "rendered")
		}
		for _, path := range []string{"/orders/17", "/orders"} {
			got := s.get(path)
			assert.Equal(t, "rendered", got.Body.String(), "%s", path)
			assert.Equal(t, "no-store", got.Result().Header.Get("Cache-Control"), "%s", path)
		}
		require.Len(t, rendered, 2)
		assert.IsType(t, &controller.Order{}, rendered[0])
		assert.IsType(t, &controller.Page{}, rendered[1])
		s.err = order.ErrSoldOut
		isProblem(t, s.get("/orders/17"), "a problem is not its business")
	})

	t.Run("New_wants_a_service", func(t *testing.T) {
		_, err := controller.New(nil, controller.Config{})
		assert.Error(t, err)
	})

	t.Run("nobody_reads_what_a_client_that_left_gets", func(t *testing.T) {
		s := newShop(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.base, s.err = ctx, errDatabase
		got := s.get("/orders/17")
		assert.Equal(t, 499, got.Code)
		assert.Empty(t, got.Body)
	})
}

// What is given, and calls refuse.
func TestRefuse(t *testing.T) {
	t.Run("says_when_to_come_back", func(t *testing.T) {
		got := newShop(t).fails(order.ErrUnavailable)
		assert.Equal(t, "5", got.Result().Header.Get("Retry-After"), "the service returned the error %q: the field Retry-After. refuse sets it where the problem's status is 503 (RFC 9110 §10.2.3)", order.ErrUnavailable)
	})

	t.Run("takes_a_deadline_that_is_over_for_unknown", func(t *testing.T) {
		err := fmt.Errorf("service: %w", context.DeadlineExceeded)
		assert.Equal(t, http.StatusGatewayTimeout, newShop(t).fails(err).Code, "the service returned the error %q: the status. refuse makes it an order.ErrUnknown", err)
	})

	t.Run("tells_the_log_what_broke", func(t *testing.T) {
		s := newShop(t)
		got := s.fails(errDatabase)
		require.Equal(t, http.StatusInternalServerError, got.Code, "the service returned the error %q: the status", errDatabase)
		require.Len(t, s.noted, 1, "the errors in c.Errors, for who writes the log")
		assert.ErrorIs(t, s.noted[0], errDatabase)
	})

	t.Run("tells_the_log_nothing_of_a_customer's_mistakes", func(t *testing.T) {
		s := newShop(t)
		got := s.fails(order.ErrSoldOut)
		require.Equal(t, http.StatusConflict, got.Code, "the service returned the error %q: the status", order.ErrSoldOut)
		assert.Empty(t, s.noted, "the errors in c.Errors")
	})

	t.Run("advances_no_order_to_cancelled", func(t *testing.T) {
		s := newShop(t)
		s.who.Scopes = []string{controller.ScopeKitchen}
		got := s.do(http.MethodPost, "/orders/17/advance", `{"to": "cancelled"}`)
		require.Equal(t, http.StatusUnprocessableEntity, got.Code, `POST /orders/17/advance with {"to": "cancelled"}: the status of an *order.InvalidError. To cancel has a route of its own, which pays back`)
		assert.Empty(t, s.asked)
	})
}

// paid is what the service returns, and paidJSON how it is sent.
var paid = order.Order{
	ID: "17", Customer: "ada", State: order.Paid, Payment: "pi_3", Method: "pm_card_visa", Version: 1,
	Lines:   []order.Line{{Dish: "ramen", Name: "Ramen with egg", Quantity: 2, Unit: euros(1250), Total: euros(2500)}},
	Totals:  order.Totals{Subtotal: euros(2500), Discount: euros(250), Tax: euros(428), Total: euros(2678)},
	Created: time.Date(2026, 5, 1, 18, 0, 0, 123456000, time.UTC),
	Updated: time.Date(2026, 5, 1, 18, 0, 1, 0, time.UTC),
}

const paidJSON = `{
	"id": "17", "state": "paid",
	"lines": [{
		"dish": "ramen", "name": "Ramen with egg", "quantity": 2,
		"unit": {"amount": 1250, "currency": "EUR"}, "total": {"amount": 2500, "currency": "EUR"}
	}],
	"subtotal": {"amount": 2500, "currency": "EUR"}, "discount": {"amount": 250, "currency": "EUR"},
	"tax": {"amount": 428, "currency": "EUR"}, "total": {"amount": 2678, "currency": "EUR"},
	"created": "2026-05-01T18:00:00.123456Z", "updated": "2026-05-01T18:00:01Z"
}`

func euros(cents int64) order.Money { return order.Money{Amount: cents, Currency: "EUR"} }

// shop is the controllers, on a service that does nothing, and who asks them.
type shop struct {
	t      *testing.T
	who    *request.Principal
	prefix string
	config controller.Config
	base   context.Context

	order order.Order   // what the service returns
	err   error         // and the error beside it
	all   []order.Order // what List returns of

	placed []order.Request // with which Place was called
	ctx    context.Context // in which it was, the last time
	asked  []string        // the other calls
	noted  []error         // in c.Errors
}

type ctxKey struct{}

func newShop(t *testing.T) *shop {
	return &shop{
		t: t, order: paid, config: controller.Config{Method: "pm_card_visa"},
		base: context.WithValue(t.Context(), ctxKey{}, "here"),
		who:  &request.Principal{Subject: "ada", Scopes: []string{controller.ScopeRead, controller.ScopeWrite}},
	}
}

func (s *shop) Place(ctx context.Context, r order.Request) (order.Order, error) {
	s.ctx, s.placed = ctx, append(s.placed, r)
	return s.order, s.err
}

func (s *shop) Get(_ context.Context, customer, id string) (order.Order, error) {
	s.asked = append(s.asked, fmt.Sprint("get ", customer, " ", id))
	return s.order, s.err
}

func (s *shop) Cancel(_ context.Context, customer, id string) (order.Order, error) {
	s.asked = append(s.asked, fmt.Sprint("cancel ", customer, " ", id))
	return s.order, s.err
}

func (s *shop) Advance(_ context.Context, id string, to order.State) (order.Order, error) {
	s.asked = append(s.asked, fmt.Sprint("advance ", id, " ", to))
	return s.order, s.err
}

func (s *shop) List(_ context.Context, q order.Query) ([]order.Order, error) {
	s.asked = append(s.asked, fmt.Sprint("list ", q.Customer, " ", q.Limit))
	from := 0
	if q.After != (order.Cursor{}) {
		from = 1 + slices.IndexFunc(s.all, func(o order.Order) bool { return o.ID == q.After.ID && o.Created.Equal(q.After.Created) })
	}
	return slices.Clone(s.all[from:min(len(s.all), from+q.Limit)]), s.err
}

// do makes a request, whose body may have 4096 octets.
func (s *shop) do(method, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	controllers, err := controller.New(s, s.config)
	require.NoError(s.t, err)
	engine := gin.New()
	engine.Use(func(c *gin.Context) {
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 4096)
		if s.who != nil {
			request.Note(c, request.WithPrincipal(c.Request.Context(), s.who))
		}
		c.Next()
		for _, e := range c.Errors {
			s.noted = append(s.noted, e.Err)
		}
	})
	controllers.Register(engine.Group(s.prefix))
	rec := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(s.base, method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	fault := panics.In(func() { engine.ServeHTTP(rec, req) })
	require.Empty(s.t, fault, "%s %s with %q: the handler panicked", method, path, body)
	return rec
}

func (s *shop) post(body string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.do(http.MethodPost, s.prefix+"/orders", body)
}

func (s *shop) get(path string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.do(http.MethodGet, path, "")
}

// fails is the answer to GET /orders/17 where the service returns err.
func (s *shop) fails(err error) *httptest.ResponseRecorder {
	s.t.Helper()
	s.err = err
	return s.get("/orders/17")
}

// located is the path that the answer's Location leads to.
func (s *shop) located(got *httptest.ResponseRecorder) string {
	s.t.Helper()
	location := got.Result().Header.Get("Location")
	require.NotEmpty(s.t, location, "POST %s/orders, and Place returned order 17: the field Location. It says where the order is found from now on (RFC 9110 §10.2.2)", s.prefix)
	asked := &url.URL{Scheme: "https", Host: "shop.test:8443", Path: s.prefix + "/orders"}
	there, err := asked.Parse(location)
	require.NoError(s.t, err, "the field Location is %q, which is no URI reference (RFC 9110 §10.2.2)", location)
	require.Equal(s.t, "shop.test:8443", there.Host, "the host that the field Location %q leads to, for a client that asked https://shop.test:8443%s/orders. Leave it out: which names lead here, only the edge knows", location, s.prefix)
	return there.Path
}

// isProblem requires that an answer is a problem document, and returns its members.
func isProblem(t *testing.T, got *httptest.ResponseRecorder, as string) (members map[string]any) {
	t.Helper()
	require.Equal(t, "application/problem+json", got.Result().Header.Get("Content-Type"), "%s: the answer's Content-Type, which is that of a problem document (RFC 9457 §3). The status was %d, and the body %s", as, got.Code, got.Body)
	answers := json.NewDecoder(bytes.NewReader(got.Body.Bytes()))
	require.NoError(t, answers.Decode(&members), "%s: the answer's body is no JSON: %s", as, got.Body)
	require.False(t, answers.More(), "%s: there are two answers: a return is missing behind bind or refuse. What was sent: %s", as, got.Body)
	require.EqualValues(t, got.Code, members["status"], "%s: the problem's status is the answer's (RFC 9457 §3.1.2)", as)
	return members
}

// FuzzBody throws bodies at the controllers: none is answered with a 5xx, and none
// that is refused reaches the service.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{two, ``, `null`, `{}`, `[[[[`, `{"lines":null}`, `{"lines":[{}]}`, "\xff", `{"a":{"a":1,"a":2}}`, `{"lines":[]}x`, strings.Repeat("[", 1000), `{"\u006cines":[]}`, `{"lines":[],"lineſ":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newShop(t)
		got := s.post(body)
		if got.Code == http.StatusCreated {
			require.Len(t, s.placed, 1)
			return
		}
		if got.Code < 400 || got.Code > 499 {
			t.Fatalf("POST /orders with %.40q: the status is %d. Either the order is placed (201), or the body refused (4xx). 200 means that place gave no answer", body, got.Code)
		}
		isProblem(t, got, fmt.Sprintf("POST /orders with %.40q", body))
		require.Empty(t, s.placed, "POST /orders with %.40q was refused, but the service was asked to place it: return, where bind returns false", body)
	})
}
