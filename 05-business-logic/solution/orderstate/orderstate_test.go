package orderstate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/orderstate"
)

// legal is the table, written a second time: each step, and what it is for.
var legal = []struct {
	from, to order.State
	why      string
}{
	{order.Pending, order.Paid, "the charge's answer came at last, and the money is there"},
	{order.Pending, order.Cancelled, "the charge's answer came at last, and it was declined"},
	{order.Paid, order.Preparing, "the kitchen begins"},
	{order.Paid, order.Cancelling, "the customer cancels before the kitchen has begun"},
	{order.Preparing, order.Dispatched, "it is cooked, and on its way"},
	{order.Dispatched, order.Delivered, "the customer has it"},
	{order.Cancelling, order.Cancelled, "it is paid back, and its dishes are in stock again"},
}

func isLegal(from, to order.State) bool {
	for _, step := range legal {
		if step.from == from && step.to == to {
			return true
		}
	}
	return false
}

func TestCheck(t *testing.T) {
	for _, step := range legal {
		t.Run(fmt.Sprintf("%s_to_%s", step.from, step.to), func(t *testing.T) {
			require.NoError(t, check(t, step.from, step.to), "Check(%s, %s): this step is legal: %s", step.from, step.to, step.why)
		})
	}

	for _, test := range []struct {
		name     string
		from, to order.State
		why      string
	}{
		{"refuses_to_dispatch_what_was_never_cooked", order.Paid, order.Dispatched, "no step may be left out"},
		{"refuses_to_cook_before_it_is_known_that_it_is_paid", order.Pending, order.Preparing, "nobody knows yet whether the money is there"},
		{"refuses_to_call_cancelled_what_is_not_paid_back", order.Paid, order.Cancelled, "cancelled says that it was paid back, which takes a while and may fail: until then it is cancelling"},
		{"refuses_to_cook_what_is_being_cancelled", order.Cancelling, order.Preparing, "its money and its dishes are on their way back"},
		{"refuses_to_cancel_what_the_kitchen_has_begun", order.Preparing, order.Cancelling, "a cancelled order's dishes go back into stock, and these are in the pan"},
		{"refuses_to_cancel_what_is_on_its_way", order.Dispatched, order.Cancelling, "a cancelled order is paid back, and its dishes go back into stock, and these are on their way to the customer"},
		{"refuses_to_cancel_what_is_delivered", order.Delivered, order.Cancelling, "delivered is an end"},
		{"refuses_to_cancel_twice", order.Cancelled, order.Cancelled, "a step from a state to itself is no step: it would pay back twice"},
		{"refuses_to_bring_back_what_was_cancelled", order.Cancelled, order.Paid, "cancelled is an end: the money was paid back"},
		{"refuses_to_go_back", order.Preparing, order.Paid, "an order goes forward only"},
		{"refuses_a_state_that_there_is_not", order.Paid, "burnt", "burnt is no state"},
		{"refuses_to_leave_a_state_that_there_is_not", "burnt", order.Cancelled, "burnt is no state, and what is unknown allows nothing"},
		{"refuses_to_leave_the_empty_state", "", order.Pending, "an order begins with a state, and does not go to its first one"},
	} {
		t.Run(test.name, func(t *testing.T) { refuses(t, test.from, test.to, test.why) })
	}

	// And all there are, so that nothing is forgotten.
	for _, from := range append(order.States(), "burnt", "") {
		t.Run("refuses_every_other_step_from_"+name(from), func(t *testing.T) {
			for _, to := range append(order.States(), "burnt", "") {
				if !isLegal(from, to) {
					refuses(t, from, to, "this step is not in the table")
				}
			}
		})
	}
}

func TestNext(t *testing.T) {
	for _, from := range []order.State{order.Pending, order.Paid, order.Preparing, order.Dispatched, order.Cancelling} {
		t.Run("what_comes_after_"+name(from), func(t *testing.T) {
			var want []order.State
			for _, to := range order.States() {
				if isLegal(from, to) {
					want = append(want, to)
				}
			}
			require.Equal(t, want, next(t, from), "Next(%q): the states that an order may go to from there, in the order of order.States", from)
		})
	}

	for _, from := range []order.State{order.Delivered, order.Cancelled, "burnt", ""} {
		t.Run("nothing_comes_after_"+name(from), func(t *testing.T) {
			require.Empty(t, next(t, from), "Next(%q): from there, an order goes nowhere", from)
		})
	}

	t.Run("the_slice_is_the_callers_own", func(t *testing.T) {
		for _, from := range []order.State{order.Pending, order.Paid, order.Preparing, order.Dispatched, order.Cancelling} {
			first := next(t, from)
			want := slices.DeleteFunc(order.States(), func(to order.State) bool { return !isLegal(from, to) })
			require.Equal(t, want, first, "Next(%q): the states that an order may go to from there", from)
			_ = append(first[:0], slices.Repeat([]order.State{"burnt"}, cap(first))...)
			require.Equal(t, want, next(t, from), "Next(%q), and the caller wrote into what it returned, and Next(%q) again: it returned the table's own slice, and now the table is another one. Return a new one each time", from, from)
		}
	})
}

func name(s order.State) string {
	if s == "" {
		return "the_empty_state"
	}
	return string(s)
}

func refuses(t *testing.T, from, to order.State, why string) {
	t.Helper()
	err := check(t, from, to)
	require.Error(t, err, "Check(%q, %q): this step must be refused: %s", from, to, why)
	var refused *order.StateError
	require.ErrorAs(t, err, &refused, "Check(%q, %q): a step that is refused is an *order.StateError", from, to)
	assert.Equal(t, order.StateError{From: from, To: to}, *refused, "Check(%q, %q): the error names both states, so that whoever reads it knows what was tried", from, to)
}

func check(t *testing.T, from, to order.State) (err error) {
	t.Helper()
	require.NotPanics(t, func() { err = orderstate.Check(from, to) }, "Check(%q, %q)", from, to)
	return err
}

func next(t *testing.T, from order.State) (to []order.State) {
	t.Helper()
	require.NotPanics(t, func() { to = orderstate.Next(from) }, "Next(%q)", from)
	return to
}
