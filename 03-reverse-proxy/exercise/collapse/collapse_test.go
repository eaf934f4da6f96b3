package collapse_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/01-dns-tcp-tls/panics"
	"clicktocode.example/03-reverse-proxy/exercise/collapse"
)

func TestDo(t *testing.T) {
	t.Run("returns_what_fetch_returns", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.begun(t, 1, "one caller asked for a key for which nothing is under way: its fetch has to be called")
			o.fetch(0).returns("soup", true)
			assert.Equal(t, outcome{value: "soup"}, a.result(t, "its fetch has returned, and its caller still waits"), "one caller, whose fetch returned the value soup, share true and no error")
		})
	})

	t.Run("returns_the_error_of_fetch", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.begun(t, 1, "one caller asked, and its fetch has to be called")
			o.fetch(0).fails(errBurnt)
			assert.ErrorIs(t, a.result(t, "its fetch has failed, and its caller still waits").err, errBurnt, "one caller, whose fetch returned this error: Do returns it, or one that wraps it")
		})
	})

	t.Run("gives_fetch_the_values_of_its_caller", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.begun(t, 1, "one caller asked, and its fetch has to be called")
			o.fetch(0).returns("soup", true)
			a.result(t, "its fetch has returned, and its caller still waits")
			assert.Equal(t, "a", o.fetch(0).ctx.Value(nameKey{}), "the caller's context holds a value, such as the number of its trace: fetch's context must hold it too. context.WithoutCancel keeps the values of a context, context.Background() has none")
		})
	})

	t.Run("remembers_nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			for i, dish := range []string{"soup", "stew"} {
				c := o.call(dish)
				o.begun(t, i+1, "callers who asked for the same key, each when the one before had its value: each makes a fetch. A call that is over must not be joined; what is remembered, and how long, is the cache's business")
				o.fetch(i).returns(dish, true)
				assert.Equal(t, dish, c.result(t, "its fetch has returned, and its caller still waits").value, "caller %d of two, one after the other: its own fetch returned this", i+1)
			}
		})
	})

	t.Run("does_not_remember_an_error", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.begun(t, 1, "one caller asked, and its fetch has to be called")
			o.fetch(0).fails(errBurnt)
			a.result(t, "its fetch has failed, and its caller still waits")
			b := o.call("b")
			o.begun(t, 2, "a fetch failed, and then another caller asked for the same key: it makes a fetch of its own, the origin may be back by now")
			o.fetch(1).returns("soup", true)
			assert.Equal(t, outcome{value: "soup"}, b.result(t, "its fetch has returned, and its caller still waits"), "the second fetch returned this, after a first one that failed")
		})
	})

	// A lock cannot be told from work in a bubble, so these two have real time.
	t.Run("keeps_keys_apart", func(t *testing.T) {
		slow, fast, open := twoKeys(t)
		select {
		case got := <-fast:
			fast <- got
		case <-time.After(300 * time.Millisecond): // it waits for /slow: why is seen when that is over
		}
		open()
		assert.Equal(t, outcome{value: "soup"}, receive(t, fast, "all fetches may return, and the caller for /fast still waits"), "the fetch of /slow, which returned stew, was under way, and then a caller asked for /fast, whose own fetch returns soup. It was handed the call of another key, or none: look under key in the map")
		assert.Equal(t, outcome{value: "stew"}, receive(t, slow, "the fetch of /slow has returned, and its caller still waits"), "the fetch of /slow returned this in the end")
	})

	t.Run("does_not_hold_up_another_key", func(t *testing.T) {
		slow, fast, open := twoKeys(t)
		got := receive(t, fast, "the fetch of /slow takes its time, and the caller for /fast has to wait for it: a lock is held while fetch runs. It is for the map alone: unlock before you wait")
		assert.Equal(t, outcome{value: "soup"}, got, "the fetch of /fast returned this, while that of /slow was under way")
		open()
		assert.Equal(t, outcome{value: "stew"}, receive(t, slow, "the fetch of /slow has returned, and its caller still waits"), "the fetch of /slow returned this in the end")
	})

	t.Run("makes_one_fetch_for_a_thousand_callers", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			callers := o.calls(1000)
			o.begun(t, 1, "a thousand callers asked for the same key, while the first one's fetch was under way: that one fetch is for all of them")
			o.fetch(0).returns("soup", true)
			for i, c := range callers {
				got := c.result(t, fmt.Sprintf("the one fetch has returned, and caller %d of 1000 still waits", i+1))
				require.NoError(t, got.err, "the one fetch returned no error: caller %d of 1000", i+1)
				require.Equal(t, "soup", got.value, "the one fetch returned this, for all: caller %d of 1000", i+1)
			}
		})
	})

	t.Run("tells_who_joined", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			callers := o.calls(3)
			o.begun(t, 1, "three callers asked for the same key: one fetch is for all of them")
			o.fetch(0).returns("soup", true)
			var joined []bool
			for _, c := range callers {
				joined = append(joined, c.result(t, "the one fetch has returned, and a caller still waits").joined)
			}
			assert.Equal(t, []bool{false, true, true}, joined, "joined, for three callers who waited for one fetch: it was the first one's, and the other two joined (the log tells them apart, see RFC 9211 §2.6)")
		})
	})

	t.Run("gives_an_error_to_all", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			callers := o.calls(3)
			o.begun(t, 1, "three callers asked for the same key: one fetch is for all of them")
			o.fetch(0).fails(errBurnt) // with share false
			o.begun(t, 1, "three callers waited for one fetch, which returned an error, and share false as one does beside an error: all get that error. If each tried again, an origin that is down would get all of its callers at once")
			for i, c := range callers {
				got := c.result(t, "the one fetch has failed, and a caller still waits")
				require.ErrorIs(t, got.err, errBurnt, "the one fetch returned this error, for all: caller %d of 3", i+1)
				require.Equal(t, i > 0, got.joined, "joined, for caller %d of 3 who waited for one fetch, which returned an error: what Do returns came from the fetch of the first one, an error as well as a value", i+1)
			}
		})
	})

	t.Run("lets_one_who_joined_leave_at_once", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			o.call("a")
			b := o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			b.leaves()
			assert.Error(t, b.result(t, "caller b joined the call of caller a, then the context of b ended, and b still waits: Do waits for the end of fetch or of its own ctx, whichever comes first").err, "caller b left before there was a value: that is an error")
		})
	})

	t.Run("lets_the_first_caller_leave_at_once", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			a.leaves()
			assert.Error(t, a.result(t, "the context of caller a, whose call it was, has ended, and a still waits: fetch has to run in a goroutine of its own, so that a can leave, too").err, "caller a left before there was a value: that is an error")
		})
	})

	t.Run("says_why_a_caller_left", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			a.leaves()
			b.leaves()
			for _, c := range []*caller{a, b} {
				assert.ErrorIs(t, c.result(t, "its context has ended, and it still waits").err, errHungUp, "the context of caller %s was ended with this cause: Do returns context.Cause(ctx), which says more than ctx.Err()", c.name)
			}
		})
	})

	t.Run("fetches_nothing_for_who_has_left_before", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.caller("a")
			a.leaves()
			a.asks()
			o.begun(t, 0, "one caller asked, whose context had ended before: nobody wants the value, and nothing is to be fetched")
			assert.ErrorIs(t, a.result(t, "its context had ended before it asked, and it waits").err, errHungUp, "the caller's context had been ended with this cause before it asked")
		})
	})

	t.Run("serves_the_next_after_one_who_had_left_before", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.caller("a")
			a.leaves()
			a.asks()
			a.result(t, "its context had ended before it asked, and it waits")
			b := o.call("b")
			o.begun(t, 1, "caller a asked, whose context had ended before; then b asked, and its fetch has to be called")
			o.fetch(0).returns("soup", true)
			assert.Equal(t, outcome{value: "soup"}, b.result(t, "its fetch has returned, and b still waits"), "caller a asked, whose context had ended before; then b asked, whose fetch returned this")
		})
	})

	t.Run("goes_on_when_the_first_caller_leaves", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			a.leaves()
			a.result(t, "its context has ended, and it still waits")
			require.NoError(t, o.fetch(0).ctx.Err(), "caller a, whose call it was, has left, and b still waits for it: the context of fetch must not end with that of a (see context.WithoutCancel). Or is cancel called while somebody waits?")
			o.fetch(0).returns("soup", true)
			assert.Equal(t, "soup", b.result(t, "the fetch has returned, and b still waits").value, "caller a, whose call it was, had left, and then its fetch returned this: b gets it")
		})
	})

	t.Run("remembers_nothing_when_the_first_caller_has_left", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			a.leaves()
			o.fetch(0).returns("soup", true)
			b.result(t, "the fetch has returned, and b still waits")
			c := o.call("c")
			o.begun(t, 2, "caller a, whose call it was, had left; its fetch returned, and b got the value; then c asked for the same key. That call is over, and must not be joined. If its first caller takes it out of the map, it stays there for ever when that one leaves: take it out when fetch is over")
			o.fetch(1).returns("stew", true)
			assert.Equal(t, outcome{value: "stew"}, c.result(t, "its fetch has returned, and c still waits"), "the fetch of c returned this")
		})
	})

	t.Run("gives_fetch_no_deadline_of_its_caller", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.caller("a")
			var cancel context.CancelFunc
			a.ctx, cancel = context.WithTimeout(a.ctx, time.Hour)
			defer cancel()
			a.asks()
			o.begun(t, 1, "one caller asked, and its fetch has to be called")
			_, has := o.fetch(0).ctx.Deadline()
			assert.False(t, has, "the context of caller a has a deadline, and that of fetch has it, too. It is a's alone: who joins may have more time. context.WithoutCancel keeps none")
			o.fetch(0).returns("soup", true)
			assert.Equal(t, outcome{value: "soup"}, a.result(t, "its fetch has returned, and its caller still waits"), "one caller, whose context has a deadline in an hour; its fetch returned this")
		})
	})

	t.Run("ends_the_fetch_when_nobody_waits", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			b.leaves()
			require.NoError(t, o.fetch(0).ctx.Err(), "caller b has left, and a, whose call it was, still waits: fetch goes on")
			a.leaves()
			synctest.Wait()
			assert.Error(t, o.fetch(0).ctx.Err(), "both callers have left before fetch returned, and the context of fetch has not ended: it works for nobody")
		})
	})

	t.Run("lets_nobody_join_a_fetch_that_was_given_up", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.begun(t, 1, "one caller asked, and its fetch has to be called")
			a.leaves()
			a.result(t, "its context has ended, and it still waits")
			b := o.call("b")
			o.begun(t, 2, "the only caller has left, so its fetch was told to end, which takes it a moment. In that moment caller b asked for the same key: it needs a fetch of its own, since all that the first can still bring is an error")
			o.fetch(1).returns("soup", true)
			assert.Equal(t, outcome{value: "soup"}, b.result(t, "its fetch has returned, and b still waits"), "the fetch of b returned this")
		})
	})

	t.Run("tells_a_call_from_one_that_was_given_up", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.begun(t, 1, "one caller asked, and its fetch has to be called")
			a.leaves()
			a.result(t, "its context has ended, and it still waits")
			o.call("b")
			o.begun(t, 2, "the only caller has left, and then b asked: it needs a fetch of its own")
			o.fetch(0).fails(context.Canceled)
			o.call("c")
			o.begun(t, 2, "caller a left; b began a call for the same key; only then did the fetch of a return; then c asked, while that of b was under way. Caller c joins b. The end of an old call must not take a newer one out of the map: compare before you delete")
		})
	})

	t.Run("does_not_end_the_context_of_what_it_gave", func(t *testing.T) {
		for _, share := range []bool{true, false} {
			bubble(t, func(t *testing.T, o *origin) {
				a := o.call("a")
				o.begun(t, 1, "one caller asked, and its fetch has to be called")
				o.fetch(0).returns("soup", share)
				require.Equal(t, "soup", a.result(t, "its fetch has returned, and its caller still waits").value, "the fetch returned this, with share %t", share)
				a.leaves()
				synctest.Wait()
				assert.NoError(t, o.fetch(0).ctx.Err(), "fetch returned a value with share %t, its caller got it, and then the context of fetch ended. The value may be a body that is still arriving under that context: it is not Do's to end it any more", share)
			})
		}
	})

	t.Run("does_not_end_the_context_of_what_others_got", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			a.leaves()
			o.fetch(0).returns("soup", true)
			require.Equal(t, "soup", b.result(t, "the fetch has returned, and b still waits").value, "caller a, whose call it was, had left, and then its fetch returned this: b gets it")
			assert.NoError(t, o.fetch(0).ctx.Err(), "caller a, whose call it was, had left, and then its fetch returned a value with share true: b got it, and the context of fetch has ended. The value may be a body that is still arriving. Only a value that may not be shared is nobody's when its own caller has left")
		})
	})

	t.Run("gives_a_private_value_to_nobody_else", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			callers := o.calls(3)
			o.begun(t, 1, "three callers asked for the same key: one fetch is for all of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.answerAll("soup", true)
			assert.Equal(t, "the bill of a", callers[0].result(t, "its fetch has returned, and it still waits").value, "share false: the value is for the caller whose call it was")
			for _, c := range callers[1:] {
				assert.Equal(t, "soup", c.result(t, "all fetches have returned, and it still waits").value, "three callers waited for one fetch, which came to %q with share false. Caller %s, who joined, must not see that; its own fetch returned this", "the bill of a", c.name)
			}
		})
	})

	t.Run("uses_the_fetch_of_each", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			o.calls(3)
			o.begun(t, 1, "three callers asked for the same key: one fetch is for all of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.answerAll("soup", false)
			assert.ElementsMatch(t, []string{"a", "b", "c"}, o.by(), "whose fetch was called: that of a, whose value was for a alone, and then those that b and c brought with them. The fetch of a may ask with the cookie of a")
		})
	})

	t.Run("lets_the_others_fetch_side_by_side", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			o.calls(10)
			o.begun(t, 1, "ten callers asked for the same key: one fetch is for all of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.begun(t, 10, "ten callers waited for one fetch, whose value is for the first alone: now the other nine each have a fetch under way, at the same time. If they went into the group again, one would fetch and eight would wait, and so on: the last waits ten times as long")
		})
	})

	t.Run("says_that_who_fetched_alone_did_not_join", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			_, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.begun(t, 2, "the value is for a alone: b makes a fetch of its own")
			o.fetch(1).returns("soup", true)
			assert.Equal(t, outcome{value: "soup"}, b.result(t, "its own fetch has returned, and b still waits"), "caller b joined a first, but the value that it got in the end came from its own fetch: joined is false")
		})
	})

	t.Run("lets_a_newcomer_begin_while_others_fetch_alone", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			o.calls(2)
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.begun(t, 2, "the value is for a alone: b makes a fetch of its own")
			c := o.call("c")
			o.begun(t, 3, "caller b makes a fetch alone, since the one that it had joined came to a value for a alone; meanwhile c asked for the same key. Nobody joins a fetch that is made alone: c makes its own")
			d := o.call("d")
			o.begun(t, 3, "while b makes a fetch alone, c began a call for the same key, and then d asked: it joins c, as if nothing else were under way")
			o.fetch(2).returns("soup", true)
			require.Equal(t, outcome{value: "soup"}, c.result(t, "its fetch has returned, and c still waits"), "the fetch of c returned this")
			require.Equal(t, outcome{value: "soup", joined: true}, d.result(t, "the fetch of c has returned, and d, who joined, still waits"), "the fetch of c, which d joined, returned this")
		})
	})

	t.Run("does_not_end_the_context_of_what_one_fetched_alone", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			_, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.begun(t, 2, "the value is for a alone: b makes a fetch of its own")
			o.fetch(1).returns("the bill of b", false)
			require.Equal(t, outcome{value: "the bill of b"}, b.result(t, "its own fetch has returned, and b still waits"), "the fetch that b made alone returned this")
			b.leaves()
			synctest.Wait()
			assert.NoError(t, o.fetch(1).ctx.Err(), "caller b made a fetch alone, got its value, and then the context of b ended, and with it that of the fetch. The value may be a body that is still arriving: a fetch that is made alone needs a context of its own like any other")
		})
	})

	t.Run("lets_one_who_fetches_alone_leave", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			_, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
			o.fetch(0).returns("the bill of a", false)
			o.begun(t, 2, "the value is for a alone: b makes a fetch of its own")
			b.leaves()
			assert.ErrorIs(t, b.result(t, "the context of b has ended, and b still waits for the fetch that it made alone: that, too, runs in a goroutine of its own").err, errHungUp, "the context of b was ended with this cause, while its own fetch was under way")
			assert.Error(t, o.fetch(1).ctx.Err(), "caller b made a fetch alone, and left: nobody waits for it, and its context must end")
		})
	})

	t.Run("gives_up_a_private_value_whose_caller_has_left", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a := o.call("a")
			o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
			a.leaves()
			a.result(t, "its context has ended, and it still waits")
			o.fetch(0).returns("the bill of a", false)
			o.begun(t, 2, "a has left, and then its fetch came to a value that is for a alone: b, who joined, makes a fetch of its own")
			assert.Error(t, o.fetch(0).ctx.Err(), "a has left, and then its fetch came to a value that is for a alone. Nobody gets it, so nobody will end what it holds open: the context of that fetch must end")
		})
	})

	t.Run("keeps_a_private_value_for_its_caller_when_another_leaves", func(t *testing.T) {
		bubble(t, func(t *testing.T, o *origin) {
			a, b := o.call("a"), o.call("b")
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
			b.leaves()
			b.result(t, "its context has ended, and it still waits")
			o.fetch(0).returns("the bill of a", false)
			require.Equal(t, "the bill of a", a.result(t, "its fetch has returned, and a still waits").value, "b, who had joined a, left, and then the fetch came to a value that is for a alone: a gets it")
			assert.NoError(t, o.fetch(0).ctx.Err(), "b, who had joined a, left, and then the fetch came to a value that is for a alone. a got it, and the context of fetch has ended: that is for a value whose own caller has left, and it was not a who left")
		})
	})

	// A wait that ctx has ended already, and the value, there before the caller
	// runs again. If it runs in between after all, it has left: that is right, too.
	t.Run("loses_no_value_that_comes_as_its_caller_leaves", func(t *testing.T) {
		oneAtATime(t)
		for range 10 {
			bubble(t, func(t *testing.T, o *origin) {
				a := o.call("a")
				o.call("b")
				o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
				o.fetch(0).does(func() (string, bool, error) {
					a.hangUp(errHungUp)
					return "the bill of a", false, nil
				})
				if a.result(t, "its context has ended and its fetch has returned, and it still waits").err != nil {
					require.Error(t, o.fetch(0).ctx.Err(), "the context of a ended in the moment in which its fetch returned a value, which is for a alone. a got an error, nobody has the value, and the context of fetch has not ended: what the value holds open stays open. Who leaves must count as gone: leave reports false where it is too late for that, and then a takes the value")
				} else {
					require.NoError(t, o.fetch(0).ctx.Err(), "the context of a ended in the moment in which its fetch returned a value, which is for a alone. a got it, and the context of fetch has ended: the value may be a body that is still arriving")
				}
			})
		}
	})

	t.Run("gives_no_private_value_to_one_who_joined_and_leaves_as_it_comes", func(t *testing.T) {
		oneAtATime(t)
		for range 10 {
			bubble(t, func(t *testing.T, o *origin) {
				a, b := o.call("a"), o.call("b")
				o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them, for now")
				o.fetch(0).does(func() (string, bool, error) {
					b.hangUp(errHungUp)
					return "the bill of a", false, nil
				})
				require.Equal(t, "the bill of a", a.result(t, "its fetch has returned, and a still waits").value, "the fetch returned this, which is for a alone")
				require.NotEqual(t, "the bill of a", b.result(t, "its context has ended, and it still waits").value, "the context of b, who had joined a, ended in the moment in which the fetch returned this with share false. b must not see it. What a caller may have does not depend on how its wait ended: look at share in both cases")
			})
		}
	})

	t.Run("leaves_no_goroutine_behind", func(t *testing.T) {
		leaked := bubble(t, func(t *testing.T, o *origin) {
			a, b, c := o.call("a"), o.call("b"), o.call("c")
			o.begun(t, 1, "three callers asked for the same key: one fetch is for all of them, for now")
			b.leaves()
			o.fetch(0).returns("the bill of a", false)
			o.answerAll("soup", true)
			d := o.call("d")
			d.leaves()
			o.fetch(len(o.by()) - 1).fails(context.Canceled)
			for _, c := range []*caller{a, b, c, d} {
				c.result(t, "it has left, or all fetches have returned, and it still waits")
			}
		})
		assert.Empty(t, leaked, "one caller of three left, the first got a private value, the third made a fetch alone; a fourth caller came and left. All fetches have returned, and all callers too, and still a goroutine waits that Do has started: for whom? Each request leaves one more")
	})

	t.Run("does_not_wait_for_a_fetch_that_ended_its_goroutine", func(t *testing.T) {
		endsItsGoroutine(t)
	})

	t.Run("tells_all_of_a_panic", func(t *testing.T) {
		endsItsGoroutine(t) // a panic that nobody recovers from would end the whole test
		bubble(t, func(t *testing.T, o *origin) {
			callers := o.calls(2)
			o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
			o.fetch(0).does(func() (string, bool, error) { panic(errBurnt) })
			for _, c := range callers {
				got := c.result(t, "fetch has panicked, and a caller still waits for it")
				var e *collapse.PanicError
				require.ErrorAs(t, got.err, &e, "fetch panicked: each of the two callers gets a *PanicError, as settle makes it (caller %s)", c.name)
				assert.ErrorIs(t, got.err, errBurnt, "fetch panicked with this error, and a *PanicError wraps it (caller %s)", c.name)
			}
		})
	})
}

// endsItsGoroutine requires that callers are told of a fetch that did not return.
func endsItsGoroutine(t *testing.T) {
	t.Helper()
	bubble(t, func(t *testing.T, o *origin) {
		callers := o.calls(2)
		o.begun(t, 1, "two callers asked for the same key: one fetch is for both of them")
		o.fetch(0).does(func() (string, bool, error) { runtime.Goexit(); return "", false, nil })
		for _, c := range callers {
			require.Error(t, c.result(t, "fetch has ended its goroutine (runtime.Goexit), and a caller waits for it for ever: what comes behind a call of fetch is never reached then, nor after a panic, only what is deferred, as settle does").err, "fetch has ended its goroutine (runtime.Goexit), and so came to nothing: Do returns an error, as settle makes it (caller %s)", c.name)
		}
	})
}

var (
	errBurnt  = errors.New("the soup is burnt")
	errHungUp = errors.New("the client hung up")
)

type nameKey struct{} // of the caller's name, in its context

// origin is what a group's callers fetch from, in a bubble. It says when each
// fetch returns, and what.
type origin struct {
	group collapse.Group[string]
	end   chan struct{} // closed when the leaf is over: no fetch goes on then

	mu      sync.Mutex // guards what follows
	fetches []*fetch   // in the order in which they began
	fault   string     // empty, or how a call of Do panicked
}

// fetch is one that a caller's Do began.
type fetch struct {
	by     string
	ctx    context.Context
	answer chan func() (string, bool, error)
}

// does lets the fetch go on, and returns when what comes of that has happened.
func (f *fetch) does(what func() (string, bool, error)) {
	f.answer <- what
	synctest.Wait()
}

func (f *fetch) returns(value string, share bool) {
	f.does(func() (string, bool, error) { return value, share, nil })
}

func (f *fetch) fails(err error) { f.does(func() (string, bool, error) { return "", false, err }) }

// caller calls Do.
type caller struct {
	name   string
	origin *origin
	ctx    context.Context
	hangUp context.CancelCauseFunc
	done   chan outcome
}

// outcome is what a call of Do came to.
type outcome struct {
	value  string
	joined bool
	err    error
}

// caller is one who has not asked yet.
func (o *origin) caller(name string) *caller {
	ctx, hangUp := context.WithCancelCause(context.WithValue(context.Background(), nameKey{}, name))
	go func() { // whatever a leaf comes to, nobody stays
		<-o.end
		hangUp(errors.New("the test is over"))
	}()
	return &caller{name, o, ctx, hangUp, make(chan outcome, 1)}
}

// asks begins a call of Do, and returns when it waits or has ended.
func (c *caller) asks() {
	go func() {
		var got outcome
		fault := panics.In(func() {
			got.value, got.joined, got.err = c.origin.group.Do(c.ctx, "/menu", func(ctx context.Context) (string, bool, error) {
				f := &fetch{by: c.name, ctx: ctx, answer: make(chan func() (string, bool, error), 1)}
				c.origin.mu.Lock()
				c.origin.fetches = append(c.origin.fetches, f)
				c.origin.mu.Unlock()
				select {
				case answer := <-f.answer:
					return answer()
				case <-c.origin.end:
					return "", true, errors.New("the test is over")
				}
			})
		})
		if fault != "" {
			c.origin.mu.Lock()
			c.origin.fault = fault
			c.origin.mu.Unlock()
			return // its Do did not
		}
		c.done <- got
	}()
	synctest.Wait()
}

// leaves ends the caller's context.
func (c *caller) leaves() {
	c.hangUp(errHungUp)
	synctest.Wait()
}

// result is what the caller's Do came to, as everything has happened that can.
func (c *caller) result(t *testing.T, why string) outcome {
	t.Helper()
	synctest.Wait()
	c.origin.sound(t)
	select {
	case got := <-c.done:
		return got
	default:
		require.FailNow(t, "caller "+c.name+" still waits", why)
		return outcome{}
	}
}

// call is a caller who asks.
func (o *origin) call(name string) *caller {
	c := o.caller(name)
	c.asks()
	return c
}

// calls are n callers who ask, the first one first. They are a, b, c and so on, or
// 1, 2, 3 if there are more of them than letters.
func (o *origin) calls(n int) []*caller {
	var all []*caller
	for i := range n {
		name := string(rune('a' + i))
		if n > 26 {
			name = strconv.Itoa(i + 1)
		}
		all = append(all, o.call(name))
	}
	return all
}

// begun requires that so many fetches have begun so far.
func (o *origin) begun(t *testing.T, want int, why string) {
	t.Helper()
	synctest.Wait()
	o.sound(t)
	require.Equal(t, want, len(o.by()), "fetches that have begun so far: %s", why)
}

// sound requires that no call of Do has panicked.
func (o *origin) sound(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Empty(t, o.fault, "Do panicked, in a caller's own goroutine")
}

// fetch is one of those that have begun.
func (o *origin) fetch(i int) *fetch {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fetches[i]
}

// by is whose fetches have begun.
func (o *origin) by() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for _, f := range o.fetches {
		names = append(names, f.by)
	}
	return names
}

// answerAll lets all fetches return value, but for the first one, and those that
// begin because of that.
func (o *origin) answerAll(value string, share bool) {
	synctest.Wait()
	for i := 1; i < len(o.by()); i++ {
		o.fetch(i).returns(value, share)
	}
}

// patience is how long a leaf may last. The first one has plenty of time; if that
// was not enough, the others are not waited for as long.
var patience = 2 * time.Second

// bubble runs f where it can see that nothing more will happen
// (testing/synctest). It returns what the bubble says of goroutines that were
// left behind, if any. A lock that is not given back would hang a bubble for
// ever, so a clock outside of it watches.
func bubble(t *testing.T, f func(*testing.T, *origin)) (leaked string) {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		fault := ""
		defer func() { ended <- fault }() // also where f failed, and this goroutine with it
		fault = panics.In(func() {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{end: make(chan struct{})}
				defer close(o.end)
				f(t, o)
			})
		})
	}()
	select {
	case fault := <-ended:
		if strings.Contains(fault, "blocked goroutines remain") {
			return fault
		}
		require.Empty(t, fault, "the test panicked")
		if t.Failed() {
			t.FailNow() // in the bubble that ended another goroutine
		}
	case <-time.After(patience):
		patience = 200 * time.Millisecond
		require.FailNow(t, "no end", "a caller waits for a lock: is there a way out that does not unlock, or is the lock held while fetch runs or a caller waits?")
	}
	return ""
}

// oneAtATime lets one goroutine run at a time, for as long as the leaf lasts: those
// that another one wakes run when that one waits.
func oneAtATime(t *testing.T) {
	was := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(was) })
}

// twoKeys are two callers of one group: slow, whose fetch is under way until open
// is called, and fast, who asks for another key meanwhile.
func twoKeys(t *testing.T) (slow, fast chan outcome, open func()) {
	t.Helper()
	var g collapse.Group[string]
	entered, gate := make(chan struct{}, 1), make(chan struct{})
	open = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	do := func(key string, fetch func(context.Context) (string, bool, error)) chan outcome {
		done := make(chan outcome, 1)
		go func() {
			var got outcome
			fault := panics.In(func() { got.value, got.joined, got.err = g.Do(t.Context(), key, fetch) })
			if fault != "" {
				got.err = errors.New("Do panicked: " + fault)
			}
			done <- got
		}()
		return done
	}
	slow = do("/slow", func(context.Context) (string, bool, error) {
		entered <- struct{}{}
		<-gate
		return "stew", true, nil
	})
	receive(t, entered, "a caller asked for /slow, and no fetch is under way")
	fast = do("/fast", func(context.Context) (string, bool, error) { return "soup", true, nil })
	return slow, fast, open
}

// receive takes what comes out of c, which must not be long in coming.
func receive[T any](t *testing.T, c <-chan T, why string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Second):
		require.FailNow(t, "no end", "after a second: %s", why)
	}
	return v
}

func BenchmarkDo(b *testing.B) {
	var g collapse.Group[int]
	fetch := func(context.Context) (int, bool, error) { return 1, true, nil }
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := g.Do(b.Context(), "/menu", fetch); err != nil {
			b.Fatal(err)
		}
	}
}
