package structlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"clicktocode.example/04-middleware/request"
	"clicktocode.example/07-response-observability/solution/structlog"
)

const pin = "tok_4242" // what must never be written

// written calls log with a logger on a Handler, and returns the lines.
func written(t *testing.T, log func(*slog.Logger)) (lines []map[string]any, text string) {
	t.Helper()
	var out bytes.Buffer
	log(slog.New(structlog.New(slog.NewJSONHandler(&out, nil))))
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), "the line %q is JSON", line)
		lines = append(lines, fields)
	}
	return lines, out.String()
}

// one is written, of exactly one line.
func one(t *testing.T, log func(*slog.Logger)) (fields map[string]any, text string) {
	t.Helper()
	lines, text := written(t, log)
	require.Len(t, lines, 1, "one call of the logger is one line. Handle gives each record to next")
	return lines[0], strings.TrimSpace(text)
}

// fields of a group.
func group(t *testing.T, in map[string]any, name, text string) map[string]any {
	t.Helper()
	g, ok := in[name].(map[string]any)
	require.True(t, ok, "there is no group %q in the line %s", name, text)
	return g
}

// inside is the context of a request, in a trace.
func inside(t *testing.T) context.Context {
	s := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x4b, 0xf9, 15: 0x36}, SpanID: trace.SpanID{0x00, 0xf0, 7: 0xb7},
	})
	return request.WithID(trace.ContextWithSpanContext(t.Context(), s), "req-17")
}

const (
	traceID = "4bf90000000000000000000000000036"
	spanID  = "00f00000000000b7"
)

// valuer hides a value until it is asked for.
type valuer struct{ v slog.Value }

func (v valuer) LogValue() slog.Value { return v.v }

// Handle passes a record on from the beginning. What it has to do to it is missing.
//
//workshop:guard TestHandle/passes_a_line_on
//workshop:guard TestHandle/returns_the_next_handlers_error
//workshop:guard TestHandle/gives_the_next_handler_its_context
func TestHandle(t *testing.T) {
	t.Run("passes_a_line_on", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.Warn("sold out", "dish", "ramen", "left", 0) })
		require.Equal(t, "sold out", fields["msg"], "the line is %s", text)
		require.Equal(t, "WARN", fields["level"], "the line is %s", text)
		require.Equal(t, "ramen", fields["dish"], "Warn(\"sold out\", \"dish\", \"ramen\"): a record's attributes are in the line, which is %s", text)
		require.EqualValues(t, 0, fields["left"], "the line is %s", text)
	})
	t.Run("redacts_a_secret", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.Info("login", "user", "ada", "password", pin) })
		require.NotContains(t, text, pin, "Info(\"login\", \"user\", \"ada\", \"password\", %q): the value of a field with a secret's name is not written. redact says what is in its place, and Handle gives next a new record, of redacted attributes. The line is %s", pin, text)
		require.Equal(t, structlog.Redacted, fields["password"], "that there was one is told. The line is %s", text)
		require.Equal(t, "ada", fields["user"], "the line is %s", text)
	})
	for _, test := range []struct {
		name, shown string
		value       any
	}{
		{"redacts_a_number", "the number 4242424242", 4242424242},
		{"redacts_bytes", "the bytes of 4242424242", []byte("4242424242")},
		{"redacts_a_list", "a list of one string", []string{"4242424242"}},
		{"redacts_a_log_valuer", "a slog.LogValuer of a string", valuer{slog.StringValue("4242424242")}},
		{"redacts_a_secret_that_is_empty", "an empty string", ""},
		{"redacts_a_secret_that_is_nil", "nil", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields, text := one(t, func(l *slog.Logger) { l.Info("pay", "card_number", test.value, "amount", 1250) })
			require.Equal(t, structlog.Redacted, fields["card_number"], "Info(\"pay\", \"card_number\", …) with %s for the value: it is the key that makes a secret, whatever the value is. The line is %s", test.shown, text)
			require.EqualValues(t, 1250, fields["amount"], "the line is %s", text)
		})
	}
	t.Run("adds_the_ids_of_the_request", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.InfoContext(inside(t), "placed", "dish", "ramen") })
		require.Equal(t, traceID, fields["trace_id"], "logged in a context with a trace; the line is %s", text)
		require.Equal(t, spanID, fields["span_id"], "the line is %s", text)
		require.Equal(t, "req-17", fields["request_id"], "the line is %s", text)
		require.Equal(t, "ramen", fields["dish"], "the line is %s", text)
	})
	t.Run("adds_nothing_where_there_is_no_request", func(t *testing.T) {
		lines, text := written(t, func(l *slog.Logger) {
			l.InfoContext(inside(t), "placed")
			l.InfoContext(t.Context(), "started")
		})
		require.Len(t, lines, 2, "two lines were logged: %s", text)
		require.Contains(t, lines[0], "request_id", "the first line was logged in the context of a request. The lines are %s", text)
		for _, key := range []string{"trace_id", "span_id", "request_id"} {
			require.NotContains(t, lines[1], key, "the second line was logged in a context without a request: an ID that is empty would be found by who searches for none. The lines are %s", text)
		}
	})
	t.Run("the_ids_stand_behind_the_lines_own_fields", func(t *testing.T) {
		_, text := one(t, func(l *slog.Logger) { l.InfoContext(inside(t), "placed", "dish", "ramen") })
		require.Contains(t, text, `"trace_id"`, "logged in a context with a trace; the line is %s", text)
		require.Less(t, strings.Index(text, `"dish"`), strings.Index(text, `"trace_id"`), "where in the line dish and trace_id stand: first what somebody has logged, and behind it what we have added, since a human reads from the left. The line is %s", text)
	})
	for _, key := range []string{"request_id", "trace_id", "span_id"} {
		t.Run("adds_no_"+key+"_that_the_line_has_already", func(t *testing.T) {
			fields, text := one(t, func(l *slog.Logger) { l.InfoContext(inside(t), "request", key, "its own") })
			require.Equal(t, 1, strings.Count(text, `"`+key+`"`), "Info(\"request\", %q, \"its own\"), which names its ID itself, as the access log does: two fields of one name are no valid JSON to many. The line is %s", key, text)
			require.Equal(t, "its own", fields[key], "the line is %s", text)
			for _, other := range []string{"request_id", "trace_id", "span_id"} {
				require.Contains(t, fields, other, "the other IDs are added. The line is %s", text)
			}
		})
	}
	t.Run("a_field_of_the_same_name_in_a_group_is_another", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) {
			l.InfoContext(inside(t), "answered", slog.Group("upstream", slog.String("request_id", "theirs")))
		})
		require.Equal(t, "req-17", fields["request_id"], "Info(\"answered\", slog.Group(\"upstream\", \"request_id\", \"theirs\")): upstream.request_id is somebody else's, and ours is added. Only the record's own keys count. The line is %s", text)
		require.Equal(t, map[string]any{"request_id": "theirs"}, group(t, fields, "upstream", text), "the line is %s", text)
	})
	t.Run("redacts_a_secret_in_a_group", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) {
			l.Info("call", slog.Group("request", slog.String("host", "api.stripe.com"), slog.Group("header", slog.String("Authorization", pin), slog.String("accept", "*/*"))))
		})
		require.NotContains(t, text, pin, "a token in the group header in the group request: a secret is one however deep it lies. The line is %s", text)
		in := group(t, fields, "request", text)
		require.Equal(t, "api.stripe.com", in["host"], "the line is %s", text)
		require.Equal(t, map[string]any{"Authorization": structlog.Redacted, "accept": "*/*"}, group(t, in, "header", text), "the line is %s", text)
	})
	t.Run("redacts_a_secret_however_deep", func(t *testing.T) {
		_, text := one(t, func(l *slog.Logger) {
			l.Info("call", slog.Group("a", slog.Group("b", slog.Group("c", slog.Group("d", slog.Group("e", slog.String("token", pin), slog.String("dish", "ramen")))))))
		})
		require.NotContains(t, text, pin, "a token in five groups, one in the other: redact calls itself for the members of a group. The line is %s", text)
		require.Contains(t, text, `"token":"`+structlog.Redacted+`","dish":"ramen"`, "the line is %s", text)
	})
	t.Run("redacts_a_group_that_is_a_secret", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.Info("pay", slog.Group("card", slog.String("number", pin)), "amount", 1250) })
		require.NotContains(t, text, pin, "a group of the name card: its members are secret whatever they are called. The line is %s", text)
		require.EqualValues(t, 1250, fields["amount"], "the line is %s", text)
	})
	t.Run("redacts_what_a_log_valuer_shows", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) {
			l.Info("call", "client", valuer{slog.GroupValue(slog.String("name", "shop"), slog.String("client_secret", pin))})
		})
		require.NotContains(t, text, pin, "a slog.LogValuer whose value is a group with client_secret in it: what it is shows only when it is asked (Value.Resolve). The line is %s", text)
		require.Equal(t, "shop", group(t, fields, "client", text)["name"], "the line is %s", text)

		again := valuer{slog.AnyValue(valuer{slog.GroupValue(slog.String("name", "shop"), slog.String("client_secret", pin))})}
		fields, text = one(t, func(l *slog.Logger) { l.Info("call", "client", again) })
		require.NotContains(t, text, pin, "a slog.LogValuer whose value is a slog.LogValuer, whose value is a group with client_secret in it: Value.Resolve asks until there is nothing left to ask. The line is %s", text)
		require.Equal(t, "shop", group(t, fields, "client", text)["name"], "the line is %s", text)
	})
	t.Run("leaves_the_callers_group_as_it_is", func(t *testing.T) {
		members := []slog.Attr{slog.String("token", pin), slog.String("user", "ada")}
		a := slog.Attr{Key: "session", Value: slog.GroupValue(members...)}
		_, text := one(t, func(l *slog.Logger) { l.Info("call", a) })
		require.Contains(t, text, "ada", "the line is %s", text)
		require.NotContains(t, text, pin, "the line is %s", text)
		require.Equal(t, pin, members[0].Value.String(), "the group's members were changed where the caller keeps them: who logs a value must be able to use it afterwards")
	})
	t.Run("keeps_time_and_source", func(t *testing.T) {
		var out bytes.Buffer
		h := structlog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{AddSource: true}))
		at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
		var record slog.Record
		slog.New(catch{&record}).Info("hello")
		record.Time = at
		require.NoError(t, h.Handle(inside(t), record))
		require.Contains(t, out.String(), "req-17", "logged in the context of a request; the line is %s", out.String())
		require.Contains(t, out.String(), "2026-02-03T04:05:06Z", "the record's own time counts, not the handler's clock. The line is %s", out.String())
		require.Contains(t, out.String(), "structlog_test.go", "the record's PC tells where in the source it was logged. The line is %s", out.String())
	})
	t.Run("returns_the_next_handlers_error", func(t *testing.T) {
		full := errors.New("no space left on device")
		h := structlog.New(spy{err: full})
		require.ErrorIs(t, h.Handle(inside(t), slog.Record{}), full, "the next handler could not write: whoever called Handle is told")
		require.ErrorIs(t, h.WithGroup("order").Handle(inside(t), slog.Record{}), full, "the next handler could not write, with a group open: whoever called Handle is told")
	})
	t.Run("gives_the_next_handler_its_context", func(t *testing.T) {
		var got context.Context
		h := structlog.New(spy{ctx: &got})
		for _, h := range []slog.Handler{h, h.WithGroup("order")} {
			got = nil
			require.NoError(t, h.Handle(inside(t), slog.Record{}))
			require.NotNil(t, got, "the next handler was called")
			require.Equal(t, "req-17", request.ID(got), "the ID of the request in the context that the next handler gets: it is the one that Handle was called with, since that handler may look into it, too")
		}
	})
}

// spy notes its context, and returns err.
type spy struct {
	ctx *context.Context
	err error
}

func (s spy) Enabled(context.Context, slog.Level) bool { return true }
func (s spy) Handle(ctx context.Context, _ slog.Record) error {
	if s.ctx != nil {
		*s.ctx = ctx
	}
	return s.err
}
func (s spy) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s spy) WithGroup(string) slog.Handler      { return s }

// catch keeps the record.
type catch struct{ r *slog.Record }

func (c catch) Enabled(context.Context, slog.Level) bool      { return true }
func (c catch) Handle(_ context.Context, r slog.Record) error { *c.r = r; return nil }
func (c catch) WithAttrs([]slog.Attr) slog.Handler            { return c }
func (c catch) WithGroup(string) slog.Handler                 { return c }

// counter counts how often it is asked.
type counter struct{ asked *int }

func (c counter) LogValue() slog.Value {
	*c.asked++
	return slog.GroupValue(slog.String("name", "shop"), slog.String("client_secret", pin))
}

func TestWithAttrs(t *testing.T) {
	t.Run("keeps_what_a_logger_was_given", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.With("role", "worker").With("shard", 3).Info("started", "jobs", 2) })
		require.Equal(t, "worker", fields["role"], "With(\"role\", \"worker\").With(\"shard\", 3).Info(…): each line of that logger has both. The line is %s", text)
		require.EqualValues(t, 3, fields["shard"], "the line is %s", text)
		require.EqualValues(t, 2, fields["jobs"], "the line is %s", text)
	})
	t.Run("redacts_what_a_logger_was_given", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.With("api_key", pin, "role", "worker").Info("started") })
		require.NotContains(t, text, pin, "With(\"api_key\", %q).Info(…): it would stand in each line from there on. The line is %s", pin, text)
		require.Equal(t, "worker", fields["role"], "the line is %s", text)
	})
	t.Run("redacts_a_secret_in_a_group_that_a_logger_was_given", func(t *testing.T) {
		_, text := one(t, func(l *slog.Logger) {
			l.With(slog.Group("request", slog.String("host", "api.stripe.com"), slog.Group("header", slog.String("authorization", pin)))).Info("call")
		})
		require.NotContains(t, text, pin, "With(slog.Group(\"request\", …, slog.Group(\"header\", \"authorization\", %q))).Info(…): redact looks into groups, here, too. The line is %s", pin, text)
		require.Contains(t, text, `"request":{"host":"api.stripe.com","header":{"authorization":"`+structlog.Redacted+`"}}`, "the line is %s", text)
	})
	t.Run("redacts_once_and_not_with_each_line", func(t *testing.T) {
		asked := 0
		var record slog.Record
		h := structlog.New(catch{&record}).WithAttrs([]slog.Attr{slog.Any("client", counter{&asked})}).WithGroup("order")
		require.Positive(t, asked, "how often a LogValuer was asked for its value, which was given by With: what is behind it, redact has to know")
		asked = 0
		for range 3 {
			require.NoError(t, h.Handle(inside(t), slog.Record{}))
		}
		require.Zero(t, asked, "how often a LogValuer was asked for its value while three lines were logged. It was given by With, before: that is redacted once, in WithAttrs, and the step that is given to then has the result")
	})
	t.Run("leaves_the_logger_before_as_it_was", func(t *testing.T) {
		lines, text := written(t, func(l *slog.Logger) {
			parent := l.With("role", "worker")
			parent.With("shard", 3).Info("first")
			parent.With("shard", 4).Info("second")
			parent.Info("third")
		})
		require.Len(t, lines, 3, "three lines were logged: %s", text)
		require.EqualValues(t, 3, lines[0]["shard"], "the lines are %s", text)
		require.EqualValues(t, 4, lines[1]["shard"], "two loggers were made of one, with shard 3 and 4. The lines are %s", text)
		require.NotContains(t, lines[2], "shard", "With makes a new logger, and the one that it was made of stays as it is. The lines are %s", text)
	})
}

func TestGroups(t *testing.T) {
	t.Run("what_is_logged_in_a_group_stands_in_it", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.WithGroup("order").With("id", "o-1").Info("placed", "dish", "ramen") })
		require.Equal(t, map[string]any{"id": "o-1", "dish": "ramen"}, group(t, fields, "order", text), "the line is %s", text)
	})
	t.Run("secrets_are_redacted_in_it", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) { l.WithGroup("session").With("token", pin).Info("open", "cookie", pin) })
		require.NotContains(t, text, pin, "the line is %s", text)
		require.Equal(t, map[string]any{"token": structlog.Redacted, "cookie": structlog.Redacted}, group(t, fields, "session", text), "the line is %s", text)
	})
	t.Run("the_ids_stand_outside_of_it", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) {
			l.With("role", "a").WithGroup("order").With("id", "o-1").InfoContext(inside(t), "placed", "dish", "ramen")
		})
		require.Equal(t, traceID, fields["trace_id"], "logged with a group open: who searches for trace_id does not know what groups were open. Look at atTop. The line is %s", text)
		require.Equal(t, "req-17", fields["request_id"], "the line is %s", text)
		require.Equal(t, "a", fields["role"], "the line is %s", text)
		require.Equal(t, map[string]any{"id": "o-1", "dish": "ramen"}, group(t, fields, "order", text), "the line is %s", text)
	})
	t.Run("a_field_of_the_same_name_inside_is_another", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) {
			l.WithGroup("upstream").InfoContext(inside(t), "answered", "request_id", "theirs")
		})
		require.Equal(t, "req-17", fields["request_id"], "upstream.request_id is somebody else's, and does not stand in the place of ours. The line is %s", text)
		require.Equal(t, map[string]any{"request_id": "theirs"}, group(t, fields, "upstream", text), "the line is %s", text)
	})
	t.Run("each_line_has_the_ids_of_its_own_request", func(t *testing.T) {
		lines, text := written(t, func(l *slog.Logger) {
			for _, l := range []*slog.Logger{l, l.With("role", "a"), l.WithGroup("order")} {
				l.InfoContext(inside(t), "placed")
				l.InfoContext(request.WithID(t.Context(), "req-18"), "placed")
			}
		})
		require.Len(t, lines, 6, "six lines were logged: %s", text)
		for i, line := range lines {
			require.Equal(t, []string{"req-17", "req-18"}[i%2], line["request_id"], "one logger, and by turns two requests that log by it, req-17 and req-18. What a Handle has found out is for its record alone: h serves all requests, and many at once. The lines are %s", text)
		}
		for i, logger := range []string{"without a group", "of With", "with a group open"} {
			require.NotContains(t, lines[2*i+1], "trace_id", "the second request is in no trace, and that of the first is not its own. By the logger %s, the lines are %s", logger, text)
		}
	})
	t.Run("all_is_redacted_in_one_that_is_a_secret", func(t *testing.T) {
		fields, text := one(t, func(l *slog.Logger) {
			l.With("role", "a").WithGroup("card").With("number", pin).WithGroup("holder").InfoContext(inside(t), "pay", "name", pin)
		})
		require.NotContains(t, text, pin, "WithGroup(\"card\").With(\"number\", …).WithGroup(\"holder\").Info(\"pay\", \"name\", …): a group of the name card is a secret, and so is all in it. WithGroup sees to that. The line is %s", text)
		require.Equal(t, map[string]any{"number": structlog.Redacted, "holder": map[string]any{"name": structlog.Redacted}}, group(t, fields, "card", text), "the keys of what was given by With and of what was logged stand in the group. The line is %s", text)
		require.Equal(t, "a", fields["role"], "what was given before the group is no secret. The line is %s", text)
		require.Equal(t, "req-17", fields["request_id"], "the IDs stand outside of the group. The line is %s", text)
	})
}

// The suite of the standard library says what every handler owes to slog.
func TestSlogtest(t *testing.T) {
	t.Run("passes_the_standard_librarys_suite", func(t *testing.T) {
		var out bytes.Buffer
		err := slogtest.TestHandler(structlog.New(slog.NewJSONHandler(&out, nil)), func() (lines []map[string]any) {
			for line := range strings.Lines(out.String()) {
				var fields map[string]any
				if json.Unmarshal([]byte(line), &fields) == nil {
					lines = append(lines, fields)
				}
			}
			return lines
		})
		require.NoError(t, err, "testing/slogtest logs a dozen lines by the handler, and reads what came out. Each line of this error is one rule of slog.Handler's documentation")
	})
}

// Enabled and the list of secrets are given.
//
//workshop:guard TestGiven/...
func TestGiven(t *testing.T) {
	t.Run("the_next_handler_decides_what_is_enabled", func(t *testing.T) {
		h := structlog.New(slog.NewJSONHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: slog.LevelWarn}))
		assert.False(t, h.Enabled(t.Context(), slog.LevelInfo))
		assert.True(t, h.Enabled(t.Context(), slog.LevelWarn))
	})
}

func TestSecrets(t *testing.T) {
	for _, test := range []struct {
		name, key, want string
	}{
		{"a_word_by_itself", "password", structlog.Redacted},
		{"whatever_its_capitals", "Authorization", structlog.Redacted},
		{"with_hyphens", "Set-Cookie", structlog.Redacted},
		{"the_last_word_counts", "X-Auth-Token", structlog.Redacted},
		{"as_an_environment_names_it", "STRIPE_SECRET_KEY", structlog.Redacted},
		{"a_url_with_a_password_in_it", "DATABASE_URL", structlog.Redacted},
		{"as_javascript_names_it", "accessToken", structlog.Redacted},
		{"as_go_names_it", "APIKey", structlog.Redacted},
		{"with_an_abbreviation", "userJWT", structlog.Redacted},
		{"behind_a_dot", "tls.passphrase", structlog.Redacted},
		{"not_the_first_word", "tokens_left", pin},
		{"not_half_a_word", "discard", pin},
		{"nothing_else", "dish", pin},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields, text := one(t, func(l *slog.Logger) { l.Info("hello", test.key, pin, "a_secret", pin) })
			require.Equal(t, structlog.Redacted, fields["a_secret"], "Info(\"hello\", …, \"a_secret\", …): secrets are redacted. The line is %s", text)
			require.Equal(t, test.want, fields[test.key], "Info(\"hello\", %q, …): the function secret says whether that is one. The line is %s", test.key, text)
		})
	}
}
