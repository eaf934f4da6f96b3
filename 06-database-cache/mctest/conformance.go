package mctest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Conformance is what a server of the memcached text protocol has to do, through a
// client and octet by octet. Every leaf holds for memcached 1.6 itself.
//
// start starts a server for t with room for maxBytes of items (0: as much as it
// has by default), and returns its address. The server ends with t.
func Conformance(t *testing.T, start func(t testing.TB, maxBytes int64) (addr string)) {
	addr := start(t, 0)
	t.Run("client", func(t *testing.T) { throughClient(t, Client(t, addr)) })
	t.Run("wire", func(t *testing.T) {
		for _, dialogue := range dialogues {
			t.Run(dialogue.name, func(t *testing.T) {
				w := dial(t, addr)
				for i := 0; i < len(dialogue.lines); i += 2 {
					w.exchange(dialogue.lines[i], dialogue.lines[i+1])
				}
			})
		}
		onTheWire(t, addr)
	})
	t.Run("time", func(t *testing.T) { inTime(t, addr, start) })
	t.Run("whole_server", func(t *testing.T) { wholeServer(t, start) })
}

// throughClient is what gomemcache's methods promise.
func throughClient(t *testing.T, c *memcache.Client) {
	item := func(key, value string) *memcache.Item {
		return &memcache.Item{Key: key, Value: []byte(value), Flags: math.MaxUint32}
	}
	value := func(t *testing.T, key string) string {
		got, err := c.Get(key)
		require.NoError(t, err)
		return string(got.Value)
	}
	t.Run("returns_what_was_set", func(t *testing.T) {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		require.NoError(t, c.Set(item("set", string(every))))
		got, err := c.Get("set")
		require.NoError(t, err)
		assert.Equal(t, every, got.Value)
		assert.Equal(t, uint32(math.MaxUint32), got.Flags)
		assert.NotZero(t, got.CasID)
	})
	t.Run("misses_what_was_not", func(t *testing.T) {
		_, err := c.Get("never set")
		require.ErrorIs(t, err, memcache.ErrMalformedKey)
		_, err = c.Get("never-set")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
	})
	t.Run("keeps_an_empty_value", func(t *testing.T) {
		require.NoError(t, c.Set(item("empty", "")))
		assert.Empty(t, value(t, "empty"))
	})
	t.Run("returns_those_of_many_that_are_there", func(t *testing.T) {
		keys := []string{"multi-absent"}
		for i := range 500 {
			keys = append(keys, fmt.Sprintf("multi-%d-%s", i, strings.Repeat("k", 200)))
			require.NoError(t, c.Set(item(keys[i+1], strconv.Itoa(i))))
		}
		got, err := c.GetMulti(keys)
		require.NoError(t, err)
		require.Len(t, got, 500)
		for i, key := range keys[1:] {
			require.Equal(t, strconv.Itoa(i), string(got[key].Value))
		}
	})
	t.Run("adds_only_what_is_absent", func(t *testing.T) {
		require.NoError(t, c.Add(item("add", "first")))
		require.ErrorIs(t, c.Add(item("add", "second")), memcache.ErrNotStored)
		assert.Equal(t, "first", value(t, "add"))
	})
	t.Run("replaces_only_what_is_there", func(t *testing.T) {
		require.ErrorIs(t, c.Replace(item("replace", "first")), memcache.ErrNotStored)
		require.NoError(t, c.Set(item("replace", "first")))
		require.NoError(t, c.Replace(item("replace", "second")))
		assert.Equal(t, "second", value(t, "replace"))
	})
	t.Run("appends_and_prepends_to_what_is_there", func(t *testing.T) {
		require.ErrorIs(t, c.Append(item("joined", "c")), memcache.ErrNotStored)
		require.ErrorIs(t, c.Prepend(item("joined", "a")), memcache.ErrNotStored)
		require.NoError(t, c.Set(item("joined", "b")))
		require.NoError(t, c.Append(&memcache.Item{Key: "joined", Value: []byte("c"), Flags: 1}))
		require.NoError(t, c.Prepend(&memcache.Item{Key: "joined", Value: []byte("a"), Flags: 1}))
		got, err := c.Get("joined")
		require.NoError(t, err)
		assert.Equal(t, "abc", string(got.Value))
		assert.Equal(t, uint32(math.MaxUint32), got.Flags, "the flags of the set, not of the append")
	})
	t.Run("swaps_only_what_nobody_has_changed", func(t *testing.T) {
		require.ErrorIs(t, c.CompareAndSwap(&memcache.Item{Key: "cas", CasID: 1}), memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("cas", "first")))
		mine, err := c.Get("cas")
		require.NoError(t, err)
		theirs, err := c.Get("cas")
		require.NoError(t, err)
		theirs.Value = []byte("theirs")
		require.NoError(t, c.CompareAndSwap(theirs))
		mine.Value = []byte("mine")
		require.ErrorIs(t, c.CompareAndSwap(mine), memcache.ErrCASConflict)
		assert.Equal(t, "theirs", value(t, "cas"))
	})
	t.Run("deletes_what_is_there", func(t *testing.T) {
		require.ErrorIs(t, c.Delete("delete"), memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("delete", "")))
		require.NoError(t, c.Delete("delete"))
		_, err := c.Get("delete")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
	})
	t.Run("counts_up_and_around", func(t *testing.T) {
		_, err := c.Increment("up", 1)
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("up", strconv.FormatUint(math.MaxUint64-1, 10))))
		n, err := c.Increment("up", 1)
		require.NoError(t, err)
		assert.Equal(t, uint64(math.MaxUint64), n)
		n, err = c.Increment("up", 3)
		require.NoError(t, err)
		assert.Equal(t, uint64(2), n)
	})
	t.Run("counts_down_to_zero", func(t *testing.T) {
		_, err := c.Decrement("down", 1)
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("down", "10")))
		n, err := c.Decrement("down", 3)
		require.NoError(t, err)
		assert.Equal(t, uint64(7), n)
		n, err = c.Decrement("down", 8)
		require.NoError(t, err)
		assert.Zero(t, n)
	})
	t.Run("counts_only_numbers", func(t *testing.T) {
		require.NoError(t, c.Set(item("word", "soup")))
		_, err := c.Increment("word", 1)
		require.EqualError(t, err, "memcache: client error: cannot increment or decrement non-numeric value")
	})
	t.Run("counts_for_many_at_once", func(t *testing.T) {
		require.NoError(t, c.Set(item("shared", "0")))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					_, err := c.Increment("shared", 1)
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		assert.Equal(t, "400", value(t, "shared"))
	})
	t.Run("touches_what_is_there", func(t *testing.T) {
		require.ErrorIs(t, c.Touch("touch", 60), memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("touch", "soup")))
		require.NoError(t, c.Touch("touch", -1))
		_, err := c.Get("touch")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
	})
	t.Run("gets_and_touches", func(t *testing.T) {
		_, err := c.GetAndTouch("gat", 60)
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
		require.NoError(t, c.Set(item("gat", "soup")))
		got, err := c.GetAndTouch("gat", -1)
		require.NoError(t, err)
		assert.Equal(t, "soup", string(got.Value))
		_, err = c.Get("gat")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
	})
	t.Run("answers_to_a_ping", func(t *testing.T) { require.NoError(t, c.Ping()) })
}

var (
	key250 = strings.Repeat("k", 250)
	key251 = strings.Repeat("k", 251)
)

// dialogues are lines that are sent, each followed by all of the answer to it. A
// name is also the key that stands for KEY. MALFORMED is what a line gets that has
// too few words: 1.6 has come to call that a bad format, and no longer an unknown
// command.
var dialogues = []struct {
	name  string
	lines []string
}{
	{"set_and_get", []string{
		"get KEY\r\n", "END\r\n",
		"set KEY 7 0 4\r\nsoup\r\n", "STORED\r\n",
		"get KEY\r\n", "VALUE KEY 7 4\r\nsoup\r\nEND\r\n",
	}},
	{"get_of_several", []string{
		"set KEY-a 0 0 1\r\na\r\n", "STORED\r\n",
		"set KEY-c 4294967295 0 1\r\nc\r\n", "STORED\r\n",
		"get KEY-a KEY-b KEY-c KEY-a\r\n", "VALUE KEY-a 0 1\r\na\r\nVALUE KEY-c 4294967295 1\r\nc\r\nVALUE KEY-a 0 1\r\na\r\nEND\r\n",
		"get KEY-b\r\n", "END\r\n",
	}},
	{"data_may_hold_anything", []string{
		"set KEY 0 0 13\r\nEND\r\nget x\r\n\x00\r\n", "STORED\r\n",
		"get KEY\r\n", "VALUE KEY 0 13\r\nEND\r\nget x\r\n\x00\r\nEND\r\n",
	}},
	{"a_line_may_end_in_a_newline_alone", []string{
		"set KEY 0 0 2\nok\r\n", "STORED\r\n",
		"get KEY\n", "VALUE KEY 0 2\r\nok\r\nEND\r\n",
		"version \n", "VERSION\r\n",
	}},
	{"spaces_between_words_do_not_count", []string{
		"set   KEY  0   0 2  \r\nok\r\n", "STORED\r\n",
		"get  KEY   KEY \r\n", "VALUE KEY 0 2\r\nok\r\nVALUE KEY 0 2\r\nok\r\nEND\r\n",
	}},
	{"a_tab_is_part_of_a_key", []string{
		"set KEY\t 0 0 2\r\nok\r\n", "STORED\r\n",
		"get KEY KEY\t\r\n", "VALUE KEY\t 0 2\r\nok\r\nEND\r\n",
	}},
	{"control_characters_in_a_key_are_the_client's_affair", []string{
		"set KEY\x01\x7f\x1b\xff 0 0 2\r\nok\r\n", "STORED\r\n",
		"get KEY\x01\x7f\x1b\xff\r\n", "VALUE KEY\x01\x7f\x1b\xff 0 2\r\nok\r\nEND\r\n",
	}},
	{"a_key_of_250_octets", []string{
		"set " + key250 + " 0 0 1\r\na\r\n", "STORED\r\n",
		"get " + key250 + "\r\n", "VALUE " + key250 + " 0 1\r\na\r\nEND\r\n",
		"delete " + key250 + "\r\n", "DELETED\r\n",
	}},
	{"no_key_of_251_octets", []string{
		"delete " + key251 + "\r\n", "CLIENT_ERROR bad command line format\r\n",
		"incr " + key251 + " 1\r\n", "CLIENT_ERROR bad command line format\r\n",
		"touch " + key251 + " 1\r\n", "CLIENT_ERROR bad command line format\r\n",
	}},
	{"unknown_commands", []string{
		"\r\n", "MALFORMED\r\n",
		"soup\r\n", "ERROR\r\n",
		"GET KEY\r\n", "ERROR\r\n",
		"gett KEY\r\n", "ERROR\r\n",
		"g\r\n", "MALFORMED\r\n",
		"version\r\n", "VERSION\r\n",
	}},
	{"words_that_are_missing", []string{
		"get\r\n", "MALFORMED\r\n",
		"gets\r\n", "MALFORMED\r\n",
		"gat\r\n", "MALFORMED\r\n",
		"delete\r\n", "MALFORMED\r\n",
		"incr\r\n", "MALFORMED\r\n",
		"incr KEY\r\n", "MALFORMED\r\n",
		"decr KEY\r\n", "MALFORMED\r\n",
		"touch\r\n", "MALFORMED\r\n",
		"touch KEY\r\n", "MALFORMED\r\n",
		"set KEY 0 0\r\n", "MALFORMED\r\n",
		"cas KEY 0 0\r\n", "MALFORMED\r\n",
		"verbosity\r\n", "MALFORMED\r\n",
		"get KEY\r\n", "END\r\n",
	}},
	{"numbers_that_are_none", []string{
		"set KEY 0 0 x\r\n", "CLIENT_ERROR bad command line format\r\n",
		"set KEY 0 0 1x\r\n", "CLIENT_ERROR bad command line format\r\n",
		"touch KEY x\r\n", "CLIENT_ERROR invalid exptime argument\r\n",
		"gat x KEY\r\n", "CLIENT_ERROR invalid exptime argument\r\n",
		"incr KEY x\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n",
		"incr KEY -1\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n",
		"incr KEY 18446744073709551616\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n",
		"verbosity x\r\n", "CLIENT_ERROR bad command line format\r\n",
		"get KEY\r\n", "END\r\n",
	}},
	{"no_negative_size", []string{
		"set KEY 0 0 -1\r\n", "CLIENT_ERROR bad command line format\r\n",
		"set KEY 0 0 2147483647\r\n", "CLIENT_ERROR bad command line format\r\n",
		"set KEY 0 0 0\r\n\r\n", "STORED\r\n",
	}},
	{"data_that_is_longer_than_announced", []string{
		"set KEY 0 0 2\r\nok\r\n", "STORED\r\n",
		"set KEY 0 0 2\r\ngone\r\n", "CLIENT_ERROR bad data chunk\r\n" + "MALFORMED\r\n", // what is left over is the next line: "\r\n"
		"get KEY\r\n", "VALUE KEY 0 2\r\nok\r\nEND\r\n",
	}},
	{"append_keeps_flags_and_time", []string{
		"append KEY 1 -1 1\r\nb\r\n", "NOT_STORED\r\n",
		"set KEY 7 0 1\r\na\r\n", "STORED\r\n",
		"append KEY 1 -1 1\r\nb\r\n", "STORED\r\n",
		"prepend KEY 2 -1 1\r\n_\r\n", "STORED\r\n",
		"get KEY\r\n", "VALUE KEY 7 3\r\n_ab\r\nEND\r\n",
	}},
	{"add_and_replace", []string{
		"replace KEY 0 0 1\r\na\r\n", "NOT_STORED\r\n",
		"add KEY 0 0 1\r\nb\r\n", "STORED\r\n",
		"add KEY 0 0 1\r\nc\r\n", "NOT_STORED\r\n",
		"replace KEY 0 0 1\r\nd\r\n", "STORED\r\n",
		"get KEY\r\n", "VALUE KEY 0 1\r\nd\r\nEND\r\n",
	}},
	{"cas_of_what_is_absent_or_another's", []string{
		"cas KEY 0 0 1 1\r\na\r\n", "NOT_FOUND\r\n",
		"set KEY 0 0 1\r\na\r\n", "STORED\r\n",
		"cas KEY 0 0 1 18446744073709551615\r\nb\r\n", "EXISTS\r\n",
		"cas KEY 0 0 1 0\r\nb\r\n", "EXISTS\r\n",
		"get KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n",
	}},
	{"delete_may_have_a_time_of_zero", []string{
		"set KEY 0 0 1\r\na\r\n", "STORED\r\n",
		"delete KEY 0\r\n", "DELETED\r\n",
		"delete KEY 0\r\n", "NOT_FOUND\r\n",
	}},
	{"a_counter_gets_longer_and_shorter", []string{ // what is stored then may have spaces behind it, or not
		"set KEY 3 0 2\r\n10\r\n", "STORED\r\n",
		"decr KEY 1\r\n", "9\r\n",
		"incr KEY 1\r\n", "10\r\n",
		"incr KEY 90\r\n", "100\r\n",
		"get KEY\r\n", "VALUE KEY 3 3\r\n100\r\nEND\r\n",
		"decr KEY 1000\r\n", "0\r\n",
		"incr KEY 123456\r\n", "123456\r\n",
		"get KEY\r\n", "VALUE KEY 3 6\r\n123456\r\nEND\r\n",
	}},
	{"values_that_are_no_counters", []string{
		"incr KEY 1\r\n", "NOT_FOUND\r\n",
		"set KEY 0 0 0\r\n\r\n", "STORED\r\n",
		"incr KEY 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		"set KEY 0 0 2\r\n-1\r\n", "STORED\r\n",
		"incr KEY 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		"set KEY 0 0 2\r\n1x\r\n", "STORED\r\n",
		"decr KEY 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		"set KEY 0 0 20\r\n18446744073709551616\r\n", "STORED\r\n",
		"incr KEY 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
		"set KEY 0 0 20\r\n18446744073709551615\r\n", "STORED\r\n",
		"incr KEY 1\r\n", "0\r\n",
	}},
	{"touch_and_gat", []string{
		"touch KEY 0\r\n", "NOT_FOUND\r\n",
		"gat 0 KEY\r\n", "END\r\n",
		"set KEY 0 0 1\r\na\r\n", "STORED\r\n",
		"touch KEY 100\r\n", "TOUCHED\r\n",
		"gat 100 KEY KEY-2\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n",
	}},
	{"noreply_is_silent", []string{
		"set KEY 0 0 1 noreply\r\n1\r\nincr KEY 1 noreply\r\ntouch KEY 0 noreply\r\nadd KEY 0 0 1 noreply\r\nx\r\nget KEY\r\n", "VALUE KEY 0 1\r\n2\r\nEND\r\n",
		"delete KEY noreply\r\ndelete KEY noreply\r\nget KEY\r\n", "END\r\n",
		"set KEY 0 0 1\r\n1\r\n", "STORED\r\n",
		"delete KEY 0 noreply\r\nverbosity 0 noreply\r\nget KEY\r\n", "END\r\n",
		"cas KEY 0 0 1 1 noreply\r\n1\r\nget KEY\r\n", "END\r\n",
	}},
	{"noreply_keeps_errors_to_itself_too", []string{
		"incr KEY x noreply\r\ntouch KEY x noreply\r\nset KEY 0 0 1 noreply\r\nxyz\r\n", "MALFORMED\r\n", // the "\r\n" behind the bad chunk is a line of its own
		"get KEY\r\n", "END\r\n",
	}},
	{"pipelined_commands_are_answered_in_order", []string{
		"set KEY 0 0 1\r\na\r\nget KEY\r\nsoup\r\ndelete KEY\r\nget KEY\r\nversion\r\n",
		"STORED\r\nVALUE KEY 0 1\r\na\r\nEND\r\nERROR\r\nDELETED\r\nEND\r\nVERSION\r\n",
	}},
	{"expired_when_it_is_stored", []string{
		"set KEY 0 -1 1\r\na\r\n", "STORED\r\n",
		"get KEY\r\n", "END\r\n",
		"set KEY 0 2592001 1\r\na\r\n", "STORED\r\n", // 30 days and a second: of 1970
		"get KEY\r\n", "END\r\n",
		"set KEY 0 2592000 1\r\na\r\n", "STORED\r\n", // 30 days from now
		"get KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n",
		"set KEY 0 2147483647 1\r\nb\r\n", "STORED\r\n", // 2038
		"get KEY\r\n", "VALUE KEY 0 1\r\nb\r\nEND\r\n",
		"touch KEY -1\r\n", "TOUCHED\r\n",
		"add KEY 0 0 1\r\nc\r\n", "STORED\r\n",
	}},
	{"verbosity", []string{
		"verbosity 0\r\n", "OK\r\n",
		"verbosity 0 x\r\n", "OK\r\n",
	}},
	{"stats_of_no_such_kind", []string{
		"stats soup\r\n", "ERROR\r\n",
		"version\r\n", "VERSION\r\n",
	}},
}

// onTheWire is what is about the connection more than about the words.
func onTheWire(t *testing.T, addr string) {
	t.Run("gets_returns_the_number_for_cas", func(t *testing.T) {
		w := dial(t, addr)
		w.exchange("set KEY 0 0 1\r\na\r\n", "STORED\r\n")
		w.send("gets KEY\r\n")
		header := w.line()
		fields := strings.Fields(header)
		require.Len(t, fields, 5, "%q", header)
		w.expect("gets KEY", "a\r\nEND\r\n")
		w.exchange("touch KEY 0\r\n", "TOUCHED\r\n")
		w.send("gats 0 KEY\r\n")
		require.Equal(t, header, w.line(), "a touch changes no value, so it changes no number")
		w.expect("gats 0 KEY", "a\r\nEND\r\n")
		w.exchange("cas KEY 5 0 1 "+fields[4]+"\r\nb\r\n", "STORED\r\n")
		w.exchange("cas KEY 5 0 1 "+fields[4]+"\r\nc\r\n", "EXISTS\r\n")
		w.exchange("get KEY\r\n", "VALUE KEY 5 1\r\nb\r\nEND\r\n")
	})
	for _, change := range []string{"set KEY 0 0 1\r\n1\r\n", "incr KEY 1\r\n", "append KEY 0 0 1\r\n1\r\n"} {
		word, _, _ := strings.Cut(change, " ")
		t.Run(word+"_changes_the_number_for_cas", func(t *testing.T) {
			w := dial(t, addr)
			w.exchange("set KEY 0 0 1\r\n1\r\n", "STORED\r\n")
			w.send("gets KEY\r\n")
			before := strings.Fields(w.line())
			w.expect("gets KEY", "1\r\nEND\r\n")
			w.send(change)
			w.line()
			w.exchange("cas KEY 0 0 1 "+before[4]+"\r\n3\r\n", "EXISTS\r\n")
		})
	}
	t.Run("numbers_that_are_none_before_a_value", func(t *testing.T) {
		for _, line := range []string{"set KEY x 0 1", "set KEY -1 0 1", "set KEY 0 x 1", "cas KEY 0 0 1 x", "set " + key251 + " 0 0 1"} {
			w := dial(t, addr)
			w.send(line + "\r\na\r\nquit\r\n") // whether the value is read as a line is a matter of the version
			require.Equal(t, "CLIENT_ERROR bad command line format", w.line(), "%q", line)
			dial(t, addr).exchange("get KEY\r\n", "END\r\n")
		}
	})
	t.Run("no_get_of_251_octets", func(t *testing.T) {
		dial(t, addr).exchange("set KEY 0 0 2\r\nok\r\n", "STORED\r\n")
		for _, line := range []string{"get " + key251, "gets " + key251, "gat 0 " + key251, "get KEY " + key251, "get KEY KEY " + key251 + " KEY"} {
			w := dial(t, addr)
			w.send(line + "\r\n") // some versions have an empty line behind the error
			require.Equal(t, "CLIENT_ERROR bad command line format", w.line(), "%q: one key too long, and nothing is returned", line)
		}
		dial(t, addr).exchange("get KEY\r\n", "VALUE KEY 0 2\r\nok\r\nEND\r\n")
	})
	t.Run("octet_by_octet", func(t *testing.T) {
		w := dial(t, addr)
		for _, b := range []byte(w.keyed("set KEY 1 0 4\r\nso\r\n\r\nget KEY\r\n")) {
			w.send(string(b))
		}
		w.expect("octet by octet: set KEY, get KEY", "STORED\r\nVALUE KEY 1 4\r\nso\r\n\r\nEND\r\n")
	})
	t.Run("many_pipelined_commands", func(t *testing.T) {
		w := dial(t, addr)
		var say, hear strings.Builder
		for i := range 3000 {
			fmt.Fprintf(&say, "set KEY %d 0 4\r\nsoup\r\nget KEY\r\n", i)
			fmt.Fprintf(&hear, "STORED\r\nVALUE KEY %d 4\r\nsoup\r\nEND\r\n", i)
		}
		var sent sync.WaitGroup
		sent.Go(func() { w.send(say.String()) })
		w.hear("3000 times set KEY, get KEY", hear.String())
		sent.Wait()
	})
	t.Run("the_rest_is_answered_when_a_client_ends_its_side", func(t *testing.T) {
		w := dial(t, addr)
		w.send("set KEY 0 0 1\r\na\r\nget KEY\r\nget KEY")
		require.NoError(t, w.conn.(*net.TCPConn).CloseWrite())
		w.expect("set KEY, get KEY, half a line, and the end", "STORED\r\nVALUE KEY 0 1\r\na\r\nEND\r\n")
		w.expectEnd("half a line, and the end")
	})
	t.Run("quit_ends_the_session_without_a_word", func(t *testing.T) {
		w := dial(t, addr)
		w.send("set KEY 0 0 1\r\na\r\nquit\r\nget KEY\r\n")
		w.expect("set KEY", "STORED\r\n")
		w.expectEnd("quit")
	})
	t.Run("what_a_browser_would_send_ends_the_session", func(t *testing.T) {
		for _, request := range []string{"GET / HTTP/1.1\r\n", "POST /menu HTTP/1.0\r\n"} {
			w := dial(t, addr)
			w.exchange("get KEY\r\n", "END\r\n")
			w.send(request + "Host: shop.test\r\n\r\nset KEY 0 0 1\r\na\r\n")
			w.expectEnd(request)
			dial(t, addr).exchange("get KEY\r\n", "END\r\n")
		}
	})
	t.Run("a_line_without_an_end_ends_the_session", func(t *testing.T) {
		w := dial(t, addr)
		w.exchange("get KEY\r\n", "END\r\n")
		w.sendMaybe(strings.Repeat("x", 256<<10))
		w.expectEnd("256 KiB without a newline")
	})
	t.Run("a_get_may_be_long", func(t *testing.T) {
		w := dial(t, addr)
		w.exchange("set KEY 0 0 1\r\na\r\n", "STORED\r\n")
		w.exchange("get "+strings.Repeat(key250+" ", 400)+"KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n")
		w.exchange("get KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n")
	})
	// memcached's own sum, on a machine of 64 bits: what an item takes in its memory.
	largest := func(w *wire) int { return 1<<20 - 48 - 8 - len(w.key+"\x00") - len("\r\n") }
	t.Run("the_largest_value", func(t *testing.T) {
		w := dial(t, addr)
		value := strings.Repeat("v", largest(w))
		w.say(fmt.Sprintf("set KEY 0 0 %d\r\n%s\r\n", len(value), value), "STORED\r\n")
		w.say("get KEY\r\n", fmt.Sprintf("VALUE KEY 0 %d\r\n%s\r\nEND\r\n", len(value), value))
		w.say("append KEY 0 0 1\r\n+\r\n", "NOT_STORED\r\n")
		w.say("delete KEY\r\n", "DELETED\r\n")
	})
	t.Run("one_octet_too_large", func(t *testing.T) {
		w := dial(t, addr)
		for _, size := range []int{largest(w) + 1, 3 << 20} {
			w.say("set KEY 0 0 1\r\na\r\n", "STORED\r\n")
			w.say(fmt.Sprintf("add KEY 0 0 %d\r\n%s\r\n", size, strings.Repeat("v", size)), "SERVER_ERROR object too large for cache\r\n")
			w.say("get KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n")
			// What a set would have replaced is gone: it is older than what was meant to be there.
			w.say(fmt.Sprintf("set KEY 0 0 %d noreply\r\n%s\r\nget KEY\r\n", size, strings.Repeat("v", size)), "END\r\n")
		}
	})
	t.Run("flags_take_room", func(t *testing.T) {
		w := dial(t, addr)
		value := strings.Repeat("v", largest(w)-3)
		w.say(fmt.Sprintf("set KEY 1 0 %d\r\n%s\r\n", len(value), value), "SERVER_ERROR object too large for cache\r\n")
		w.say(fmt.Sprintf("set KEY 1 0 %d\r\n%s\r\n", len(value)-1, value[1:]), "STORED\r\n")
	})
	t.Run("sessions_do_not_wait_for_each_other", func(t *testing.T) {
		stuck := dial(t, addr)
		stuck.send("set KEY 0 0 1000\r\nhalf")
		w := dial(t, addr)
		w.exchange("get KEY\r\n", "END\r\n")
		stuck.send(strings.Repeat("x", 996) + "\r\n")
		stuck.expect("the other half", "STORED\r\n")
	})
	t.Run("a_client_that_leaves_amid_a_value_stores_nothing", func(t *testing.T) {
		gone := dial(t, addr)
		gone.send("set KEY 0 0 10\r\nhalf")
		require.NoError(t, gone.conn.(*net.TCPConn).CloseWrite())
		gone.expectEnd("half a value, and the end")
		dial(t, addr).exchange("get KEY\r\n", "END\r\n")
	})
}

// inTime are the leaves that wait for seconds to pass: all for the same ones.
func inTime(t *testing.T, addr string, start func(testing.TB, int64) string) {
	until := time.Now().Add(3 * time.Second).Truncate(time.Second)
	leaves := []struct {
		name   string
		lines  []string
		second string // another key that shall be gone with KEY
		after  func(*testing.T, *wire)

		wire  *wire
		begun time.Time
	}{
		{name: "set_until_a_date", lines: []string{
			fmt.Sprintf("set KEY 0 %d 1\r\na\r\n", until.Unix()), "STORED\r\n",
		}, after: func(t *testing.T, w *wire) {
			// memcached's clock has ticks of a second, and its start is somewhere in one.
			assert.WithinDuration(t, until, time.Now(), 1500*time.Millisecond)
		}},
		{name: "set_for_two_seconds", lines: []string{
			"set KEY 0 2 1\r\na\r\n", "STORED\r\n",
		}, after: func(t *testing.T, w *wire) {
			w.exchange("add KEY 0 0 1\r\nb\r\n", "STORED\r\n")
		}},
		{name: "touch_for_two_seconds", lines: []string{
			"set KEY 0 0 1\r\na\r\n", "STORED\r\n",
			"touch KEY 2\r\n", "TOUCHED\r\n",
		}},
		{name: "gat_for_two_seconds", lines: []string{
			"set KEY 0 0 1\r\na\r\n", "STORED\r\n",
			"gat 2 KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n",
		}},
		{name: "flush_all_in_three_seconds", lines: []string{
			"set KEY 0 0 1\r\na\r\n", "STORED\r\n",
			"flush_all 3\r\n", "OK\r\n",
			"set KEY-2 0 0 1\r\na\r\n", "STORED\r\n", // it is there when the time has come
		}, second: "-2"},
	}
	for i, leaf := range leaves {
		w := dial(t, addr)
		if strings.HasPrefix(leaf.name, "flush") {
			w = dial(t, start(t, 0))
		}
		w.key += "-" + leaf.name
		for i := 0; i < len(leaf.lines); i += 2 {
			w.exchange(leaf.lines[i], leaf.lines[i+1])
		}
		require.True(t, w.has(w.key), "%s: it lives for a second at least", leaf.name)
		leaves[i].wire, leaves[i].begun = w, time.Now()
	}
	for _, leaf := range leaves {
		t.Run(leaf.name, func(t *testing.T) {
			w := leaf.wire
			w.t = t
			for _, key := range []string{w.key, w.key + leaf.second} {
				for w.has(key) {
					require.Less(t, time.Since(leaf.begun), 8*time.Second, "%s is still there", key)
					time.Sleep(20 * time.Millisecond) // it is the server's clock that is waited for
				}
			}
			assert.Greater(t, time.Since(leaf.begun), 900*time.Millisecond)
			if leaf.after != nil {
				leaf.after(t, w)
			}
		})
	}
}

// wholeServer are the leaves that need a server of their own.
func wholeServer(t *testing.T, start func(testing.TB, int64) string) {
	t.Run("flush_all", func(t *testing.T) {
		w := dial(t, start(t, 0))
		for _, line := range []string{"flush_all\r\n", "flush_all 0\r\n", "flush_all -1\r\n"} {
			w.exchange("set KEY 0 0 1\r\na\r\n", "STORED\r\n")
			w.exchange(line, "OK\r\n")
			w.exchange("get KEY\r\n", "END\r\n")
			w.exchange("set KEY 0 0 1\r\na\r\n", "STORED\r\n")
			w.exchange("get KEY\r\n", "VALUE KEY 0 1\r\na\r\nEND\r\n")
		}
		w.exchange("flush_all noreply\r\nget KEY\r\n", "END\r\n")
		w.exchange("set KEY 0 0 1\r\na\r\nflush_all 0 noreply\r\nget KEY\r\n", "STORED\r\nEND\r\n")
		w.exchange("flush_all x\r\n", "CLIENT_ERROR invalid exptime argument\r\n")
	})
	t.Run("stats", func(t *testing.T) {
		w := dial(t, start(t, 0))
		w.exchange("set KEY 0 0 1\r\n5\r\n", "STORED\r\n")
		w.exchange("get KEY KEY KEY-2\r\n", "VALUE KEY 0 1\r\n5\r\nVALUE KEY 0 1\r\n5\r\nEND\r\n")
		w.exchange("incr KEY 1\r\ndecr KEY 1\r\ntouch KEY 0\r\n", "6\r\n5\r\nTOUCHED\r\n")
		w.exchange("incr KEY-2 1\r\ndecr KEY-2 1\r\ntouch KEY-2 0\r\ndelete KEY-2\r\n", strings.Repeat("NOT_FOUND\r\n", 4))
		w.exchange("cas KEY 0 0 1 9999\r\n7\r\ncas KEY-2 0 0 1 1\r\n7\r\n", "EXISTS\r\nNOT_FOUND\r\n")
		w.exchange("set KEY-3 0 0 2000000\r\n"+strings.Repeat("x", 2000000)+"\r\n", "SERVER_ERROR object too large for cache\r\n")
		w.exchange("set KEY-4 0 0 1\r\na\r\ndelete KEY-4\r\n", "STORED\r\nDELETED\r\n")
		stats := w.stats("stats")
		for name, want := range map[string]string{
			"cmd_get": "3", "get_hits": "2", "get_misses": "1", "cmd_set": "4", "cmd_touch": "2",
			"incr_hits": "1", "incr_misses": "1", "decr_hits": "1", "decr_misses": "1",
			"touch_hits": "1", "touch_misses": "1", "delete_hits": "1", "delete_misses": "1",
			"cas_badval": "1", "cas_misses": "1", "cas_hits": "0", "store_too_large": "1",
			"curr_items": "1", "evictions": "0", "curr_connections": "1",
			"cmd_flush": "0", "limit_maxbytes": "67108864", "max_connections": "1024", "accepting_conns": "1",
		} {
			assert.Equal(t, want, stats[name], name)
		}
		for _, name := range []string{"pid", "uptime", "time", "version", "pointer_size", "threads", "bytes", "bytes_read", "bytes_written", "total_items", "total_connections", "rejected_connections"} {
			assert.NotEmpty(t, stats[name], name)
		}
		w.exchange("stats reset\r\n", "RESET\r\n")
		assert.Equal(t, "0", w.stats("stats")["cmd_get"])
		assert.Equal(t, "1", w.stats("stats items")["items:1:number"])
		assert.Equal(t, "1", w.stats("stats slabs")["active_slabs"])
		settings := w.stats("stats settings")
		assert.Equal(t, "1048576", settings["item_size_max"])
		assert.Equal(t, "67108864", settings["maxbytes"])
	})
	t.Run("forgets_what_was_not_used_for_long_where_memory_is_full", func(t *testing.T) {
		const room, size = 8 << 20, 50_000
		w := dial(t, start(t, room))
		value := strings.Repeat("v", size)
		for i := range 3 * room / size {
			w.say(fmt.Sprintf("set KEY-%d 0 0 %d\r\n%s\r\n", i, size, value), "STORED\r\n")
			if i%10 == 0 {
				require.True(t, w.has(w.key+"-0"), "what is used all the time stays; %d items have come after it", i)
			}
		}
		assert.False(t, w.has(w.key+"-1"), "what was stored first, and not used since")
		assert.True(t, w.has(fmt.Sprintf("%s-%d", w.key, 3*room/size-1)), "what was stored last")
		stats := w.stats("stats")
		evictions, err := strconv.Atoi(stats["evictions"])
		require.NoError(t, err)
		assert.Greater(t, evictions, room/size)
		items, err := strconv.Atoi(stats["curr_items"])
		require.NoError(t, err)
		assert.Less(t, items, room*5/4/size)
	})
}

// wire is a connection on which octets are compared. Each has keys of its own.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	key  string
}

// patience is how long an answer may take that has to come.
const patience = 10 * time.Second

func dial(t *testing.T, addr string) *wire {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, leaf, _ := strings.Cut(t.Name(), "/")
	return &wire{t, conn, bufio.NewReaderSize(conn, 64<<10), regexp.MustCompile(`[^a-z_0-9]+`).ReplaceAllString(leaf, "-")}
}

func (w *wire) keyed(text string) string { return strings.ReplaceAll(text, "KEY", w.key) }

func (w *wire) send(text string) {
	w.t.Helper()
	_ = w.conn.SetDeadline(time.Now().Add(patience)) // for the answer too
	_, err := io.WriteString(w.conn, w.keyed(text))
	require.NoError(w.t, err, "sending %.200q", text)
}

// sendMaybe sends what the server may refuse to read.
func (w *wire) sendMaybe(text string) { _, _ = io.WriteString(w.conn, text) }

var (
	version   = regexp.MustCompile(`VERSION [^\r\n]+\r\n`)
	malformed = regexp.MustCompile(`^(ERROR|CLIENT_ERROR bad command line format)\r\n$`)
)

// expect reads an answer. A server's version is its own affair.
func (w *wire) expect(sent, want string) {
	w.t.Helper()
	want = w.keyed(want)
	var got []byte
	for string(got) != want {
		line, err := w.in.ReadBytes('\n')
		line = version.ReplaceAll(line, []byte("VERSION\r\n"))
		if strings.HasPrefix(want[min(len(got), len(want)):], "MALFORMED") {
			line = malformed.ReplaceAll(line, []byte("MALFORMED\r\n"))
		}
		got = append(got, line...)
		if err == nil && bytes.HasPrefix([]byte(want), got) {
			continue
		}
		_ = w.conn.SetDeadline(time.Now().Add(50 * time.Millisecond)) // the rest says more than its first line
		rest, _ := io.ReadAll(w.in)
		require.Equal(w.t, want, string(got)+string(rest), "sent %.200q, and the answer ends with %v", w.keyed(sent), err)
	}
}

func (w *wire) exchange(say, want string) {
	w.t.Helper()
	w.send(say)
	w.expect(say, want)
}

// say is exchange for what is long, and would fill the screen.
func (w *wire) say(say, want string) {
	w.t.Helper()
	w.send(say)
	w.hear(say, want)
}

func (w *wire) hear(say, want string) {
	w.t.Helper()
	want = w.keyed(want)
	got := make([]byte, len(want))
	n, err := io.ReadFull(w.in, got)
	require.True(w.t, err == nil && string(got) == want, "sent %.60q, got %d octets: %.200q, wanted %.200q; %v", w.keyed(say), n, got[:n], want, err)
}

func (w *wire) line() string {
	w.t.Helper()
	line, err := w.in.ReadString('\n')
	require.NoError(w.t, err)
	return strings.TrimSuffix(line, "\r\n")
}

func (w *wire) has(key string) bool {
	w.t.Helper()
	w.send("get " + key + "\r\n")
	found := false
	for {
		line := w.line()
		if line == "END" {
			return found
		}
		found = found || strings.HasPrefix(line, "VALUE "+key+" ")
	}
}

func (w *wire) stats(command string) map[string]string {
	w.t.Helper()
	w.send(command + "\r\n")
	all := map[string]string{}
	for line := w.line(); line != "END"; line = w.line() {
		fields := strings.SplitN(line, " ", 3)
		require.True(w.t, len(fields) == 3 && fields[0] == "STAT", "%s: %q", command, line)
		all[fields[1]] = fields[2]
	}
	return all
}

// expectEnd waits until the server has closed the connection, and says nothing more.
func (w *wire) expectEnd(sent string) {
	w.t.Helper()
	rest, err := io.ReadAll(w.in)
	require.Empty(w.t, string(rest), "sent %.200q", sent)
	var timeout net.Error
	require.False(w.t, errors.As(err, &timeout) && timeout.Timeout(), "sent %.200q, and the connection is still open", sent)
}
