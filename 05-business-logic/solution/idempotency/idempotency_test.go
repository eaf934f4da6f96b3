package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/solution/idempotency"
)

const (
	soup = `{"lines": [{"dish": "soup", "quantity": 1}]}`
	stew = `{"lines": [{"dish": "stew", "quantity": 1}]}`
)

func TestDo(t *testing.T) {
	t.Run("returns_what_handle_answers", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		got := k.do("ada", "key-1", soup)
		require.Equal(t, 1, k.handled(), "ada sends an order with key-1, which nobody has used: calls of handle")
		assert.Equal(t, answered(201, 1), got.String(), "ada sends an order with key-1, which nobody has used: what Do returns is what handle returned, and no replay")
	})

	t.Run("sends_the_same_answer_again", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.do("ada", "key-1", soup)
		got := k.do("ada", "key-1", soup)
		require.Equal(t, said(201, 1), got.answer, "ada sends an order with key-1, has her answer, and sends it again: the answer is the first one's, with its header and body")
		assert.Equal(t, 1, k.handled(), "ada sends an order with key-1, has her answer, and sends it again: calls of handle. It is one order")
	})

	t.Run("says_that_it_was_sent_before", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.do("ada", "key-1", soup)
		got := k.do("ada", "key-1", soup)
		assert.True(t, got.replayed, "ada sends an order with key-1, has her answer, and sends it again: replayed, for the second answer")
	})

	t.Run("tells_keys_apart", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.do("ada", "key-1", soup)
		got := k.do("ada", "key-2", soup)
		assert.Equal(t, answered(201, 2), got.String(), "ada sends an order with key-1, and then the same order with key-2: she wants another one, so handle is called, and that is its answer")
	})

	t.Run("keeps_customers_apart", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.do("ada", "key-1", soup)
		got := k.do("bob", "key-1", soup)
		assert.Equal(t, answered(201, 2), got.String(), "ada sends an order with key-1, and then bob sends the same order with key-1: that is his own order, and hers is none of his business. Clients make up keys, and some make up 1")
	})

	t.Run("does_not_mix_up_customers_and_keys", func(t *testing.T) {
		for _, between := range []string{"", ":", "/", "-", " ", "|", "\n", "\x00"} {
			k := newKitchen(t, idempotency.Config{})
			k.do("ada"+between+"x", "y", soup)
			got := k.do("ada", "x"+between+"y", soup)
			require.Equal(t, answered(201, 2), got.String(), "%q sends an order with the key %q, and %q the same one with %q: these are two customers. A text of both, one behind the other, is the same for them; a struct of both is not", "ada"+between+"x", "y", "ada", "x"+between+"y")
		}
	})

	t.Run("refuses_another_order_with_the_same_key", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.do("ada", "key-1", soup)
		got := k.do("ada", "key-1", stew)
		require.ErrorIs(t, got.err, idempotency.ErrMismatch, "ada orders soup with key-1, has her answer, and orders stew with key-1: the error. The first answer would say that stew is coming, when it is soup (draft-ietf-httpapi-idempotency-key-header §2.7)")
		assert.Equal(t, 1, k.handled(), "ada orders soup with key-1, and then stew with key-1: calls of handle. One key is for one order")
		assert.Equal(t, replayed(201, 1), k.do("ada", "key-1", soup).String(), "ada orders soup with key-1, then stew with key-1, which is refused, and asks for her soup again: whoever was refused has changed nothing, and soup is not cooked twice")
	})

	t.Run("keeps_no_hold_of_the_body", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		buffer := []byte(soup)
		k.wait(k.start("ada", "key-1", buffer, k.handle), "its handle has returned")
		copy(buffer, stew) // of the same length, as a server's buffer that is used for the next request
		got := k.do("ada", "key-1", soup)
		assert.Equal(t, replayed(201, 1), got.String(), "ada sends an order with key-1, then the buffer that held its body is used for something else, and she sends the order again: it is the same body. Remember its hash")
	})

	// A lock cannot be told from work in a bubble, so this one has real time.
	t.Run("does_not_hold_up_another_order", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		slow := k.startGated("ada", "key-1", soup)
		got := k.wait(k.start("bob", "key-2", []byte(soup), k.handle), "the handle of ada's order takes its time, and bob's order waits for it: the lock is held while handle runs. Unlock before you call it")
		assert.Equal(t, answered(201, 2), got.String(), "bob's order, while ada's is under way")
		slow.open()
		assert.Equal(t, answered(201, 1), k.wait(slow.done, "its handle has returned").String(), "ada's order, in the end")
	})

	t.Run("refuses_the_second_click_while_the_first_is_under_way", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		first := k.startGated("ada", "key-1", soup)
		second := k.wait(k.start("ada", "key-1", []byte(soup), k.handle), "ada clicked twice: the second click waits for the first one, and has to be refused at once")
		assert.ErrorIs(t, second.err, idempotency.ErrInFlight, "ada clicked twice: while the handle of the first click runs, the second one comes, with the same key and body. There is no answer that it could get. Put the record there before you call handle, so that the second click finds it")
		first.open()
		k.wait(first.done, "its handle has returned")
	})

	t.Run("makes_one_order_of_a_double_click", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		first := k.startGated("ada", "key-1", soup)
		second := k.start("ada", "key-1", []byte(soup), k.handle)
		k.wait(second, "ada clicked twice: the second click waits for the first one, and has to be refused at once")
		first.open()
		require.Equal(t, answered(201, 1), k.wait(first.done, "its handle has returned").String(), "the first click gets the answer of its handle, whatever came meanwhile")
		third := k.do("ada", "key-1", soup)
		require.Equal(t, replayed(201, 1), third.String(), "ada clicked twice, and once more when the first click had its answer: that is the answer")
		assert.Equal(t, 1, k.handled(), "three clicks with the same key and body: calls of handle")
	})

	t.Run("makes_one_order_of_a_hundred_clicks_at_once", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		gate := make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		all, refused := make(chan outcome, 100), 0
		click := func() {
			all <- <-k.start("ada", "key-1", []byte(soup), func(ctx context.Context) (idempotency.Answer, error) {
				answer, err := k.handle(ctx)
				<-gate
				return answer, err
			})
		}
		// They come while bob's first order looks at the clock, which it does in the lock, and
		// wait for that in a row, behind some more of bob's, which take long enough for the
		// lock to be handed from one to the next (sync.Mutex's starvation mode). So whoever
		// gives the lock back between looking and noting gives it to the next click.
		bobs := make(chan outcome, 6)
		bob := func(i int) {
			bobs <- <-k.start("bob", fmt.Sprint("key-", i), []byte(soup), func(context.Context) (idempotency.Answer, error) { return placed(0), nil })
		}
		var looks atomic.Int64
		k.onNow = func() {
			switch n := looks.Add(1); {
			case n == 1:
				for i := range 5 {
					go bob(i)
				}
				<-time.After(10 * time.Millisecond)
				for range 100 {
					go click()
				}
				<-time.After(10 * time.Millisecond)
			case n <= 10:
				<-time.After(2 * time.Millisecond)
			}
		}
		go bob(5)
		for range 6 {
			k.wait(bobs, "six orders of bob, each with its own key: their handles have returned")
		}
		for range 99 {
			if errors.Is(k.wait(all, "a hundred clicks at once: one is handled, and waits, and the 99 others have to be refused at once. Where more than one is handled, they have found nothing: look and note in one lock").err, idempotency.ErrInFlight) {
				refused++
			}
		}
		open()
		require.Equal(t, 99, refused, "a hundred clicks at once, with the same key and body: how many return ErrInFlight while the first one is under way")
		k.wait(all, "its handle has returned")
		assert.Equal(t, 1, k.handled(), "a hundred clicks at once: calls of handle. Look and note in one lock: between two, another click finds nothing, too")
	})

	t.Run("refuses_another_order_while_the_first_is_under_way", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		first := k.startGated("ada", "key-1", soup)
		got := k.wait(k.start("ada", "key-1", []byte(stew), k.handle), "stew, with the key of an order that is under way, waits for that one, and has to be refused at once")
		assert.ErrorIs(t, got.err, idempotency.ErrMismatch, "ada orders soup with key-1, and stew with key-1 while soup is under way: the error. ErrInFlight would tell her to ask again in a moment, in vain")
		first.open()
		k.wait(first.done, "its handle has returned")
	})

	t.Run("remembers_what_was_decided", func(t *testing.T) {
		for _, status := range []int{200, 201, 202, 204, 303, 402, 409} {
			k := newKitchen(t, idempotency.Config{})
			k.status = status
			k.do("ada", "key-1", soup)
			got := k.do("ada", "key-1", soup)
			require.Equal(t, replayed(k.status, 1), got.String(), "handle answered %d, and ada asks again: that is final (see final), so the answer is sent again", status)
		}
	})

	t.Run("forgets_what_failed", func(t *testing.T) {
		for _, status := range []int{500, 502, 503, 504, 429, 400, 422, 0} {
			k := newKitchen(t, idempotency.Config{})
			k.status = status
			require.Equal(t, answered(k.status, 1), k.do("ada", "key-1", soup).String(), "handle answered %d: the first one gets that", status)
			k.status = 201
			got := k.do("ada", "key-1", soup)
			require.Equal(t, answered(201, 2), got.String(), "handle answered %d, and ada asks again: that is not final (see final), so handle is called again. If it were remembered, whom we failed once we would fail for a day", status)
		}
	})

	t.Run("takes_another_body_where_nothing_is_remembered", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.status = 422
		require.Equal(t, said(422, 1), k.do("ada", "key-1", soup).answer, "handle answered 422: the first one gets that")
		k.status = 201
		got := k.do("ada", "key-1", stew)
		assert.Equal(t, answered(201, 2), got.String(), "handle answered 422, so ada corrects her order and sends it with the same key: nothing was begun, and the key is as if it had never been used")
	})

	t.Run("returns_the_error_of_handle", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.err = errBurnt
		got := k.do("ada", "key-1", soup)
		assert.ErrorIs(t, got.err, errBurnt, "handle returned this error: Do returns it, or one that wraps it")
	})

	t.Run("forgets_an_error", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.err = errBurnt // beside an answer of 201, which counts for nothing
		k.do("ada", "key-1", soup)
		k.err = nil
		got := k.do("ada", "key-1", soup)
		assert.Equal(t, answered(201, 2), got.String(), "handle returned an answer and an error, and ada asks again: what comes with an error counts for nothing, so handle is called again")
	})

	t.Run("calls_handle_in_its_own_goroutine", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		own, called := false, false
		k.wait(k.start("ada", "key-1", []byte(soup), func(context.Context) (idempotency.Answer, error) {
			own, called = isCallers(), true
			return placed(1), nil
		}), "its handle has returned")
		require.True(t, called, "ada sends an order with key-1, which nobody has used: handle is called")
		assert.True(t, own, "Do called handle in another goroutine than it was called in itself: nobody could recover a panic there, and the process would end")
	})

	t.Run("lets_a_panic_pass", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		got := k.wait(k.start("ada", "key-1", []byte(soup), burns), "its handle has panicked")
		assert.Equal(t, "the pan burns", got.panicked, "handle panicked: Do lets that pass, and recovery, further out, tells the log")
	})

	t.Run("frees_the_key_in_a_panic", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.wait(k.start("ada", "key-1", []byte(soup), burns), "its handle has panicked")
		got := k.do("ada", "key-1", soup)
		assert.Equal(t, answered(201, 1), got.String(), "handle panicked, and ada asks again: handle is called again. A record that is left behind says that the first request is under way, for ever. Delete it in a deferred function: that runs in a panic, too")
	})

	t.Run("frees_the_key_when_its_goroutine_ends", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		gone := k.wait(k.start("ada", "key-1", []byte(soup), func(context.Context) (idempotency.Answer, error) {
			runtime.Goexit()
			return idempotency.Answer{}, nil
		}), "its handle has ended its goroutine")
		require.True(t, gone.exited, "handle ended its goroutine (runtime.Goexit, as t.FailNow does): so does Do, since it runs in that one")
		got := k.do("ada", "key-1", soup)
		assert.Equal(t, answered(201, 1), got.String(), "handle ended its goroutine (runtime.Goexit), and ada asks again: handle is called again. Deferred functions run then, too")
	})

	t.Run("keeps_the_answer_as_it_was", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		k.tampers = true
		for i := range 3 {
			got := k.do("ada", "key-1", soup)
			require.Equal(t, said(201, 1), got.answer, "ada sends an order with key-1 three times, and each time whoever called Do has put a field into the Header that it got, and changed the Body: answer %d of 3 must be as handle returned it. A map and a slice are shared when they are assigned: clone what you keep, and what you give out", i+1)
		}
	})

	t.Run("looks_and_keeps_under_the_lock", func(t *testing.T) {
		// expireLocked and keepLocked look at the clock. When ada's order does, bob's comes,
		// and has to wait for the lock.
		k := newKitchen(t, idempotency.Config{})
		var adas atomic.Bool // whether it is ada's order that looks at the clock next
		var bob <-chan outcome
		waits := true
		k.onNow = func() {
			if !adas.CompareAndSwap(true, false) {
				return
			}
			c := k.start("bob", "key-1", []byte(soup), func(context.Context) (idempotency.Answer, error) { return placed(2), nil })
			done := make(chan outcome, 1)
			bob = done
			select {
			case got := <-c:
				waits = false
				done <- got
			case <-time.After(20 * time.Millisecond): // so he waits
				go func() { done <- <-c }()
			}
		}
		atFirst := true
		adas.Store(true)
		k.wait(k.start("ada", "key-1", []byte(soup), func(context.Context) (idempotency.Answer, error) {
			if bob != nil {
				select { // no lock is held now
				case <-bob:
				case <-time.After(patience):
				}
			}
			atFirst, waits = waits, true
			adas.Store(true)
			return placed(1), nil
		}), "its handle has returned")
		require.NotNil(t, bob, "ada sends an order, and Config.Now was not called: expireLocked and keepLocked look at the clock")
		k.wait(bob, "nobody holds the lock any more")
		assert.True(t, atFirst, "ada's order has come, expireLocked looks at the clock, and bob's order comes and goes all the way meanwhile: the lock is not held. What ends in Locked is called with the lock held, or two clicks at once both find nothing")
		assert.True(t, waits, "ada's order is answered, keepLocked looks at the clock, and bob's order comes and goes all the way meanwhile: the lock is not held. What ends in Locked is called with the lock held, or two write into the records at once")
	})

	t.Run("forgets_when_the_time_is_over", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{Lifetime: time.Hour})
		require.Equal(t, said(201, 1), k.do("ada", "key-1", soup).answer, "ada sends an order with key-1, which nobody has used")
		k.pass(time.Hour - 1)
		require.Equal(t, replayed(201, 1), k.do("ada", "key-1", soup).String(), "Lifetime is 1 h, and ada asks again after 1 h less 1 ns: the answer is remembered")
		k.pass(1)
		require.Equal(t, answered(201, 2), k.do("ada", "key-1", soup).String(), "Lifetime is 1 h, and ada asks again after 1 h: nothing is known any more, so handle is called. expireLocked forgets what is too old")
	})

	t.Run("counts_the_time_from_the_answer", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{Lifetime: time.Hour})
		k.wait(k.start("ada", "key-1", []byte(soup), func(ctx context.Context) (idempotency.Answer, error) {
			k.pass(50 * time.Minute)
			return k.handle(ctx)
		}), "its handle has returned")
		k.pass(50 * time.Minute)
		require.Equal(t, replayed(201, 1), k.do("ada", "key-1", soup).String(), "Lifetime is 1 h, handle took 50 minutes, and ada asks again 50 minutes later: the answer is remembered from when it was there")
	})

	t.Run("forgets_the_oldest_where_there_is_no_room", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{Max: 3})
		for i := range 4 {
			require.Equal(t, answered(201, i+1), k.do("ada", fmt.Sprint("key-", i+1), soup).String(), "Max is 3, and ada sends order %d of 4, each with a key of its own", i+1)
		}
		for i := 2; i <= 4; i++ {
			require.Equal(t, replayed(201, i), k.do("ada", fmt.Sprint("key-", i), soup).String(), "Max is 3, and ada has sent key-1 to key-4: key-%d is one of the 3 that are left", i)
		}
		assert.Equal(t, answered(201, 5), k.do("ada", "key-1", soup).String(), "Max is 3, and ada has sent key-1 to key-4: key-1 was the oldest, so it was forgotten. roomLocked does it: without it, whoever makes up a key for each request fills the memory")
	})

	t.Run("never_forgets_what_is_under_way", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{Max: 1, Lifetime: time.Hour})
		first := k.startGated("ada", "key-1", soup)
		k.pass(2 * time.Hour)
		k.wait(k.start("bob", "key-2", []byte(soup), k.handle), "Max is 1, and ada's order is under way: bob's waits for it, and has to be refused at once")
		again := k.wait(k.start("ada", "key-1", []byte(soup), k.handle), "ada's order is under way, and her second click waits for it, and has to be refused at once")
		assert.ErrorIs(t, again.err, idempotency.ErrInFlight, "Max is 1, Lifetime 1 h, and ada's order is under way for 2 h when bob's comes, and then her second click: the error for her. What is under way has no answer that could be forgotten, and a second order must not begin")
		first.open()
		k.wait(first.done, "its handle has returned")
	})

	t.Run("says_that_it_is_full", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{Max: 1})
		first := k.startGated("ada", "key-1", soup)
		got := k.wait(k.start("bob", "key-2", []byte(soup), k.handle), "Max is 1, and ada's order is under way: bob's waits for it, and has to be refused at once")
		require.ErrorIs(t, got.err, idempotency.ErrFull, "Max is 1, and ada's order is under way when bob's comes: the error. There is no answer to forget, so roomLocked returns false")
		first.open()
		k.wait(first.done, "its handle has returned")
		assert.Equal(t, answered(201, 2), k.do("bob", "key-2", soup).String(), "Max is 1, ada has her answer, and bob asks again: hers is forgotten")
	})

	t.Run("names_the_request_for_handle", func(t *testing.T) {
		var names []string
		handle := func(ctx context.Context) (idempotency.Answer, error) {
			names = append(names, idempotency.ID(ctx))
			return idempotency.Answer{Status: 503}, nil
		}
		for range 2 { // two replicas
			k := newKitchen(t, idempotency.Config{})
			for range 2 {
				k.wait(k.start("ada", "key-1", []byte(soup), handle), "its handle has returned")
			}
		}
		require.Len(t, names, 4, "ada asks two replicas, twice each, and all of them answer 503: calls of handle")
		require.NotEmpty(t, names[0], "idempotency.ID, in the context that handle got: the order is named by it. Call handle in the context that named makes")
		assert.Equal(t, []string{names[0], names[0], names[0], names[0]}, names, "idempotency.ID in four calls of handle, for the same customer and key: it is one order, and the database finds that out by its name")
	})

	t.Run("lets_handle_know_that_the_caller_has_left", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		var before, after error
		got := k.wait(k.startIn(ctx, "ada", "key-1", []byte(soup), func(ctx context.Context) (idempotency.Answer, error) {
			before = ctx.Err()
			leave()
			after = ctx.Err()
			return k.handle(ctx)
		}), "its handle has returned")
		require.Equal(t, answered(201, 1), got.String(), "ada left while her order was handled, and handle returned an answer: so does Do")
		require.NoError(t, before, "the error of handle's context, when ada is still there")
		require.ErrorIs(t, after, context.Canceled, "the error of handle's context, when the one that Do was called with was cancelled: handle runs in that one. What it does when nobody waits any more, it decides itself")
	})

	t.Run("remembers_the_answer_of_one_who_has_left", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		k.wait(k.startIn(ctx, "ada", "key-1", []byte(soup), func(ctx context.Context) (idempotency.Answer, error) {
			leave()
			return k.handle(ctx)
		}), "its handle has returned")
		got := k.do("ada", "key-1", soup)
		assert.Equal(t, replayed(201, 1), got.String(), "ada left while her order was handled, the order was made (201), and she asks again: it is for her above all that answers are remembered. What counts is the answer, not whether somebody heard it")
	})

	t.Run("gives_handle_the_values_of_its_context", func(t *testing.T) {
		k := newKitchen(t, idempotency.Config{})
		var got any
		k.wait(k.start("ada", "key-1", []byte(soup), func(ctx context.Context) (idempotency.Answer, error) {
			got = ctx.Value(ctxKey{})
			return placed(1), nil
		}), "its handle has returned")
		assert.Equal(t, "here", got, "a value of the context that Do was called with, in the one that handle got: without it, the work goes on when the client has left and when the time is up")
	})
}

// What is given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("Parse_reads_a_key", func(t *testing.T) {
		long := strings.Repeat("k", idempotency.MaxKey)
		for line, want := range map[string]string{
			"8e03978e-40d5-43e8-bc93-6894a57f9324":   "8e03978e-40d5-43e8-bc93-6894a57f9324",
			`"8e03978e-40d5-43e8-bc93-6894a57f9324"`: "8e03978e-40d5-43e8-bc93-6894a57f9324",
			"1":                                      "1", `"1"`: "1", "a/b:c=~!": "a/b:c=~!", long: long, `"` + long + `"`: long,
		} {
			got, err := idempotency.Parse([]string{line})
			require.NoError(t, err, "%q", line)
			require.Equal(t, want, got, "%q", line)
		}
	})

	t.Run("Parse_refuses_what_is_no_key", func(t *testing.T) {
		for _, lines := range [][]string{
			nil, {}, {""}, {`""`}, {`"`}, {`"a`}, {`a"`}, {`"a"b"`}, {`"a\"b"`}, {"a b"}, {"a,b"}, {`"a", "b"`}, {`"a";x=1`}, {"a\x00"}, {"ä"}, {"a\n"}, {" a"},
			{strings.Repeat("k", idempotency.MaxKey+1)}, {"a", "a"}, {"a", "b"},
		} {
			got, err := idempotency.Parse(lines)
			require.Error(t, err, "%q", lines)
			require.Empty(t, got, "%q", lines)
		}
	})

	t.Run("New_tells_all_faults_at_once", func(t *testing.T) {
		_, err := idempotency.New(idempotency.Config{Max: -1, Lifetime: -2})
		require.Error(t, err)
		assert.Contains(t, err.Error(), "Max is -1")
		assert.Contains(t, err.Error(), "Lifetime is -2ns")
	})

	t.Run("ID_is_empty_elsewhere", func(t *testing.T) {
		assert.Empty(t, idempotency.ID(t.Context()))
	})
}

type ctxKey struct{}

var errBurnt = errors.New("the pan burns")

// burns is a handle that panics, where somebody can recover it.
func burns(context.Context) (idempotency.Answer, error) {
	if !isCallers() {
		return idempotency.Answer{}, errors.New("handle was called in another goroutine, so it does not panic here, or it would end all tests")
	}
	panic("the pan burns")
}

// isCallers reports whether this is a goroutine that a test calls Do in.
func isCallers() bool {
	stack := string(debug.Stack())
	return strings.Contains(stack, "(*kitchen).startIn.func") || strings.Contains(stack, "(*pass).start.func")
}

// kitchen is Keys, and a handle that counts.
type kitchen struct {
	t    *testing.T
	keys *idempotency.Keys

	status  int   // that handle answers with
	err     error // that it returns beside
	tampers bool  // whether who calls Do changes what it gets
	calls   atomic.Int64

	onNow func() // unless nil, called when Do looks at the clock

	mu  sync.Mutex // guards now
	now time.Time
}

func newKitchen(t *testing.T, c idempotency.Config) *kitchen {
	k := &kitchen{t: t, status: 201, now: time.Date(2026, 5, 1, 18, 0, 0, 0, time.UTC)}
	c.Now = func() time.Time {
		if k.onNow != nil {
			k.onNow()
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.now
	}
	var err error
	k.keys, err = idempotency.New(c)
	require.NoError(t, err)
	return k
}

func (k *kitchen) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// handled is how often handle was called.
func (k *kitchen) handled() int { return int(k.calls.Load()) }

func (k *kitchen) handle(context.Context) (idempotency.Answer, error) {
	n := k.calls.Add(1)
	return k.answer(int(n)), k.err
}

// answer is what the call n of handle answers.
func (k *kitchen) answer(n int) idempotency.Answer {
	a := placed(n)
	a.Status = k.status
	return a
}

// placed is the answer for order n.
func placed(n int) idempotency.Answer {
	return idempotency.Answer{Status: 201, Header: http.Header{"Location": {fmt.Sprint("/orders/", n)}}, Body: fmt.Appendf(nil, `{"id": "%d"}`, n)}
}

// said is the answer with that status for order n, as a text, as in an outcome.
func said(status, n int) string {
	a := placed(n)
	a.Status = status
	return text(a)
}

func text(a idempotency.Answer) string {
	if a.Status == 0 && a.Header == nil && a.Body == nil {
		return "no answer"
	}
	return fmt.Sprintf("%d, with the header %v, and the body %s", a.Status, a.Header, a.Body)
}

// outcome is what a call of Do came to.
type outcome struct {
	answer   string // as text has it
	replayed bool
	err      error
	panicked any
	exited   bool // by runtime.Goexit
}

// String has all of it in one line.
func (o outcome) String() string {
	switch {
	case o.panicked != nil:
		return fmt.Sprint("panic: ", o.panicked)
	case o.exited:
		return "the end of its goroutine"
	}
	line := fmt.Sprintf("%s; replayed: %t", o.answer, o.replayed)
	if o.err != nil {
		line += fmt.Sprintf("; error: %q", o.err)
	}
	return line
}

// answered is the outcome for which handle was called, as order n, and replayed the one
// of an answer that was sent before.
func answered(status, n int) string { return outcome{answer: said(status, n)}.String() }
func replayed(status, n int) string { return outcome{answer: said(status, n), replayed: true}.String() }

// start calls Do in a goroutine of its own.
func (k *kitchen) start(customer, key string, body []byte, handle func(context.Context) (idempotency.Answer, error)) <-chan outcome {
	return k.startIn(context.WithValue(k.t.Context(), ctxKey{}, "here"), customer, key, body, handle)
}

// startIn is start with a context.
func (k *kitchen) startIn(ctx context.Context, customer, key string, body []byte, handle func(context.Context) (idempotency.Answer, error)) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		got := outcome{exited: true}
		defer func() {
			if got.panicked = recover(); got.panicked != nil {
				got.exited = false
			}
			done <- got
		}()
		answer, replayed, err := k.keys.Do(ctx, customer, key, body, handle)
		got = outcome{answer: text(answer), replayed: replayed, err: err}
		if k.tampers && len(answer.Body) > 0 && answer.Header != nil {
			answer.Header.Set("Idempotent-Replayed", "true")
			answer.Body[0] = '!'
		}
	}()
	return done
}

// patience is how long Do may take. The first time, there is plenty; if that was not
// enough, nobody waits as long again.
var patience = 2 * time.Second

// wait is what a call of Do came to.
func (k *kitchen) wait(done <-chan outcome, why string) outcome {
	k.t.Helper()
	select {
	case got := <-done:
		return got
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(k.t, "Do does not return", why)
		return outcome{}
	}
}

// do calls Do, with a handle that returns at once.
func (k *kitchen) do(customer, key, body string) outcome {
	k.t.Helper()
	got := k.wait(k.start(customer, key, []byte(body), k.handle), "handle returns at once, and nothing else is under way: is there a way out that does not unlock, or a Lock where it is locked already?")
	require.Nil(k.t, got.panicked, "Do panicked, and handle did not")
	return got
}

// gated is a call of Do whose handle waits.
type gated struct {
	done <-chan outcome
	open func() // lets handle return
}

// startGated calls Do, with a handle that waits, and returns when that is called.
func (k *kitchen) startGated(customer, key, body string) gated {
	k.t.Helper()
	entered, gate := make(chan struct{}), make(chan struct{})
	g := gated{open: sync.OnceFunc(func() { close(gate) })}
	k.t.Cleanup(g.open)
	g.done = k.start(customer, key, []byte(body), func(ctx context.Context) (idempotency.Answer, error) {
		answer, err := k.handle(ctx)
		close(entered)
		<-gate
		return answer, err
	})
	select {
	case <-entered:
	case <-g.done:
		require.FailNow(k.t, "handle was not called", "%s sends an order with %s, which nobody has used: Do returned without calling handle", customer, key)
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(k.t, "handle was not called", "%s sends an order with %s, which nobody has used: Do neither returns nor calls handle", customer, key)
	}
	return g
}

func BenchmarkDo(b *testing.B) {
	keys, err := idempotency.New(idempotency.Config{})
	require.NoError(b, err)
	body, answer := []byte(soup), placed(1)
	handle := func(context.Context) (idempotency.Answer, error) { return answer, nil }
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, _, err := keys.Do(b.Context(), "ada", fmt.Sprint(i), body, handle); err != nil {
			b.Fatal(err)
		}
	}
}
