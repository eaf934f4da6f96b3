package standin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/05-business-logic/sendgrid/standin"
)

// message is one that SendGrid takes, as its documentation has it.
const message = `{"personalizations": [{"to": [{"email": "ada@example.com", "name": "Ada"}]}], "from": {"email": "orders@shop.test", "name": "The shop"},
	"subject": "Your order", "content": [{"type": "text/plain", "value": "Thank you!"}], "custom_args": {"key": "paid-17"}}`

func TestSend(t *testing.T) {
	t.Run("takes_a_message", func(t *testing.T) {
		s := serve(t, standin.Config{})
		got := post(s, standin.TestKey, message)
		require.Equal(t, 202, got.Code, "%s", got.Body)
		assert.Empty(t, got.Body.String())
		box := s.Mailbox()
		require.Len(t, box, 1)
		assert.Equal(t, got.Header().Get("X-Message-Id"), box[0].ID)
		box[0].ID, box[0].Received = "", box[0].Received.Truncate(0)
		assert.Equal(t, standin.Message{
			Received: box[0].Received, From: `"The shop" <orders@shop.test>`, To: []string{"ada@example.com"},
			Subject: "Your order", Text: "Thank you!", Args: map[string]string{"key": "paid-17"},
		}, box[0])
	})

	for _, row := range []struct{ name, from, to, field string }{
		{"no_sender", `"from": {"email": "orders@shop.test", "name": "The shop"},`, ``, "from.email"},
		{"a_sender_that_is_none", `orders@shop.test`, `orders`, "from.email"},
		{"no_personalization", `[{"to": [{"email": "ada@example.com", "name": "Ada"}]}]`, `[]`, "personalizations"},
		{"nobody_to_send_it_to", `{"email": "ada@example.com", "name": "Ada"}`, ``, "personalizations.0.to"},
		{"an_address_that_is_none", `ada@example.com`, `ada`, "personalizations.0.to.0.email"},
		{"a_receiver_twice", `{"email": "ada@example.com", "name": "Ada"}`, `{"email": "ada@example.com"}, {"email": "ADA@example.com"}`, "personalizations.0"},
		{"a_receiver_that_is_always_refused", `ada@example.com`, `standin-refused@example.com`, "personalizations.0.to.0.email"},
		{"no_subject", `"subject": "Your order",`, ``, "subject"},
		{"no_content", `{"type": "text/plain", "value": "Thank you!"}`, ``, "content"},
		{"an_empty_text", `Thank you!`, ``, "content.0.value"},
		{"a_field_that_is_not_known", `"subject"`, `"subjekt"`, ""},
		{"something_behind_it", `"paid-17"}}`, `"paid-17"}} {}`, ""},
		{"no_JSON", message, `to=ada`, ""},
		{"too_many_custom_arguments", `paid-17`, strings.Repeat("k", 10_000), "custom_args"},
	} {
		t.Run("refuses_"+row.name, func(t *testing.T) {
			s := serve(t, standin.Config{})
			spoilt := strings.Replace(message, row.from, row.to, 1)
			require.NotEqual(t, message, spoilt)
			got := post(s, standin.TestKey, spoilt)
			assert.Equal(t, 400, got.Code)
			assert.Equal(t, row.field, fault(t, got).Field)
			assert.Empty(t, s.Mailbox())
		})
	}

	t.Run("wants_the_key", func(t *testing.T) {
		s := serve(t, standin.Config{Key: "SG.ours"})
		for _, key := range []string{"", "SG.theirs", "sg.ours"} {
			got := post(s, key, message)
			assert.Equal(t, 401, got.Code, "%q", key)
			fault(t, got)
		}
		assert.Empty(t, s.Mailbox())
		assert.Equal(t, 202, post(s, "SG.ours", message).Code)
	})

	t.Run("bounds_a_message", func(t *testing.T) {
		s := serve(t, standin.Config{})
		assert.Equal(t, 413, post(s, standin.TestKey, strings.Replace(message, "Thank you!", strings.Repeat("x", 256<<10), 1)).Code)
		assert.Equal(t, 202, post(s, standin.TestKey, message).Code)
	})

	t.Run("knows_no_other_way_to_send", func(t *testing.T) {
		s := serve(t, standin.Config{})
		assert.Equal(t, 405, ask(s, "PUT", "/v3/mail/send", standin.TestKey, message).Code)
		assert.Equal(t, 404, ask(s, "POST", "/v3/mail", standin.TestKey, message).Code)
		form := httptest.NewRequest("POST", "/v3/mail/send", strings.NewReader(message))
		form.Header.Set("Authorization", "Bearer "+standin.TestKey)
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got := httptest.NewRecorder()
		s.ServeHTTP(got, form)
		assert.Equal(t, 415, got.Code)
	})
}

func TestFaults(t *testing.T) {
	t.Run("come_one_after_the_other", func(t *testing.T) {
		s := serve(t, standin.Config{})
		s.Next(standin.Fault{Status: 503}, standin.Fault{Status: 500, Work: true})
		assert.Equal(t, 503, post(s, standin.TestKey, message).Code)
		assert.Empty(t, s.Mailbox())
		assert.Equal(t, 500, post(s, standin.TestKey, message).Code)
		assert.Len(t, s.Mailbox(), 1)
		assert.Equal(t, 202, post(s, standin.TestKey, message).Code)
	})
	t.Run("by_the_address", func(t *testing.T) {
		s := serve(t, standin.Config{})
		flaky, lost := strings.Replace(message, "ada@", "standin-flaky@", 1), strings.Replace(message, "ada@", "standin-lost@", 1)
		assert.Equal(t, 503, post(s, standin.TestKey, flaky).Code)
		assert.Equal(t, 202, post(s, standin.TestKey, flaky).Code)
		assert.Len(t, s.Mailbox(), 1)
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { post(s, standin.TestKey, lost) })
		assert.Equal(t, 202, post(s, standin.TestKey, lost).Code)
		assert.Len(t, s.Mailbox(), 3, "the one whose answer was lost is there")
	})
}

func TestMailbox(t *testing.T) {
	t.Run("shows_the_newest_first", func(t *testing.T) {
		s := serve(t, standin.Config{})
		for _, to := range []string{"ada", "bob", "ada"} {
			post(s, standin.TestKey, strings.Replace(message, "ada@", to+"@", 1))
		}
		messages, _ := box(t, s, "/mailbox")
		require.Len(t, messages, 3)
		assert.False(t, messages[0].Received.Before(messages[2].Received))
		assert.Equal(t, s.Mailbox()[2].ID, messages[0].ID)
		messages, _ = box(t, s, "/mailbox?to=bob@example.com")
		require.Len(t, messages, 1)
		assert.Equal(t, s.Mailbox()[1].ID, messages[0].ID)
	})
	t.Run("is_bounded_in_number", func(t *testing.T) {
		s := serve(t, standin.Config{Keep: 3})
		for i := range 5 {
			post(s, standin.TestKey, strings.Replace(message, "ada@", fmt.Sprintf("guest%d@", i), 1))
		}
		messages, dropped := box(t, s, "/mailbox")
		require.Len(t, messages, 3)
		assert.Equal(t, 2, dropped)
		assert.Equal(t, []string{"guest2@example.com"}, messages[2].To, "the oldest gave way")
	})
	t.Run("is_bounded_in_size", func(t *testing.T) {
		s := serve(t, standin.Config{})
		long := strings.Replace(message, "Thank you!", strings.Repeat("x", 250<<10), 1)
		for range 70 { // 17.5 MiB
			require.Equal(t, 202, post(s, standin.TestKey, long).Code)
		}
		size := 0
		for _, m := range s.Mailbox() {
			size += len(m.Text)
		}
		assert.LessOrEqual(t, size, 16<<20)
		assert.Greater(t, size, 15<<20)
	})
	t.Run("tells_of_each_message", func(t *testing.T) {
		var told []string
		s := serve(t, standin.Config{OnMail: func(m standin.Message) { told = append(told, m.To...) }})
		post(s, standin.TestKey, message)
		assert.Equal(t, []string{"ada@example.com"}, told)
	})
	t.Run("is_empty_and_not_null", func(t *testing.T) {
		assert.JSONEq(t, `{"messages": [], "dropped": 0}`, ask(serve(t, standin.Config{}), "GET", "/mailbox", "", "").Body.String())
	})
}

func TestNew(t *testing.T) {
	_, err := standin.New(standin.Config{Keep: -1})
	assert.ErrorContains(t, err, "Keep")
}

func serve(t *testing.T, c standin.Config) *standin.Server {
	t.Helper()
	s, err := standin.New(c)
	require.NoError(t, err)
	return s
}

func post(s *standin.Server, key, body string) *httptest.ResponseRecorder {
	return ask(s, "POST", "/v3/mail/send", key, body)
}

func ask(s *standin.Server, method, target, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func box(t *testing.T, s *standin.Server, target string) ([]standin.Message, int) {
	t.Helper()
	var answer struct {
		Messages []standin.Message
		Dropped  int
	}
	require.NoError(t, json.NewDecoder(ask(s, "GET", target, "", "").Body).Decode(&answer))
	return answer.Messages, answer.Dropped
}

type said struct{ Message, Field string }

// fault is the error of an answer, in SendGrid's form.
func fault(t *testing.T, w *httptest.ResponseRecorder) said {
	t.Helper()
	var answer struct{ Errors []said }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer), "%s", w.Body)
	require.Len(t, answer.Errors, 1)
	assert.NotEmpty(t, answer.Errors[0].Message)
	return answer.Errors[0]
}
