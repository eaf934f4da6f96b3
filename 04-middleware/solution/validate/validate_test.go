package validate_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/solution/validate"
)

func init() { gin.SetMode(gin.ReleaseMode) }

var jsonAlone = []string{"application/json"}

func TestUnderstood(t *testing.T) {
	t.Run("takes_json", func(t *testing.T) {
		understood(t, true, "the body is of the one type that can be read", "application/json")
	})

	t.Run("takes_it_in_upper_and_lower_case", func(t *testing.T) {
		for _, line := range []string{"Application/JSON", "APPLICATION/json", " application/json "} {
			understood(t, true, "names of media types have no case (RFC 9110 §8.3.1)", line)
		}
	})

	t.Run("takes_parameters", func(t *testing.T) {
		for _, line := range []string{"application/json; charset=utf-8", "application/json;charset=UTF-8", `application/json; Charset="utf-8"`, "application/json; version=2"} {
			understood(t, true, "parameters are allowed: the type is what stands before them (RFC 9110 §8.3.1)", line)
		}
	})

	t.Run("refuses_other_types", func(t *testing.T) {
		understood(t, true, "it is the type that can be read", "application/json")
		for _, line := range []string{"text/plain", "application/xml", "multipart/form-data; boundary=x", "text/json", "json", "*/*", "application/*", ""} {
			understood(t, false, "it is another type, or none", line)
		}
	})

	t.Run("refuses_another_charset", func(t *testing.T) {
		understood(t, true, "JSON is UTF-8", "application/json; charset=utf-8")
		for _, line := range []string{"application/json; charset=iso-8859-1", `application/json; charset="windows-1252"`, "application/json; charset=utf-16", "application/json; charset=utf-8000", "application/json; charset=utf8", "application/json; charset=\"\""} {
			understood(t, false, "its charset is not utf-8, and JSON is (RFC 8259 §8.1): read all the same, names would change", line)
		}
	})

	t.Run("refuses_a_type_that_hides_another", func(t *testing.T) {
		understood(t, true, "it is the type that can be read", "application/json")
		for _, line := range []string{"text/plain; x=application/json", `text/plain; x="application/json"`, "text/plain;application/json", "text/plain, application/json", "application/json, text/plain"} {
			understood(t, false, "its type is not application/json, the words only stand in the line. Text/plain is what browsers send to other sites without asking first: any page could send orders in the name of who looks at it", line)
		}
	})

	t.Run("refuses_what_is_only_like_it", func(t *testing.T) {
		for _, like := range []string{"application/vnd.shop+json", "application/merge-patch+json", "application/json5", "application/jsonp"} {
			require.True(t, call(t, "Understood", func() bool { return validate.Understood([]string{like}, []string{"application/json", like}) }), "Understood, of a line %q and the types application/json and %[1]s, is false. It is one of them", like)
			understood(t, false, "it is like application/json, but another type: a merge patch, for instance, is JSON, and means something else. Who wants it lists it", like)
		}
	})

	t.Run("refuses_broken_parameters", func(t *testing.T) {
		understood(t, true, "its parameters are well formed", "application/json; charset=utf-8; version=2")
		for _, line := range []string{"application/json; charset", "application/json; charset=utf-8; charset=utf-16", "application/json; x=a/b", `application/json; x="a`} {
			understood(t, false, "it cannot be parsed, so another program may see another type or charset in it. (mime.ParseMediaType returns a name, and an error as well)", line)
		}
	})

	t.Run("refuses_several_lines", func(t *testing.T) {
		understood(t, true, "there is one line", "application/json")
		understood(t, false, "there are two lines: who else reads this request may take the other one. Two lines that are the same are no exception", "application/json", "text/plain")
		understood(t, false, "there are two lines", "text/plain", "application/json")
		understood(t, false, "there are two lines", "application/json", "application/json")
	})

	t.Run("refuses_a_body_without_a_type", func(t *testing.T) {
		understood(t, true, "there is one line", "application/json")
		understood(t, false, "there is no line at all: nobody has said what it is, and it is not guessed")
	})
}

func TestAcceptable(t *testing.T) {
	t.Run("takes_a_client_that_says_nothing", func(t *testing.T) {
		acceptable(t, true, "the client sent no such field, so it reads everything (RFC 9110 §12.5.1)")
		acceptable(t, true, "the field lists nothing", "")
		acceptable(t, true, "the field lists nothing", " , ,")
	})

	t.Run("takes_a_client_that_names_the_type", func(t *testing.T) {
		for _, line := range []string{"application/json", "text/html, application/json", "text/html;q=0.9,application/json;q=0.1", "Application/JSON", "application/json;charset=utf-8", `text/html;x="a,b", application/json`} {
			acceptable(t, true, "application/json is on the list", line)
		}
	})

	t.Run("takes_a_client_that_names_a_family_or_all", func(t *testing.T) {
		for _, line := range []string{"*/*", "application/*", "text/html, */*;q=0.1", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"} {
			acceptable(t, true, "a range on the list holds application/json: */* is every type, application/* every one of that family", line)
		}
	})

	t.Run("takes_a_list_on_several_lines", func(t *testing.T) {
		acceptable(t, true, "several lines of this field are one list (RFC 9110 §5.3), and application/json is on it", "text/html", "application/json")
	})

	t.Run("refuses_a_client_that_reads_something_else", func(t *testing.T) {
		acceptable(t, true, "application/json is on the list", "text/html, application/json")
		for _, line := range []string{"text/html", "application/xml, text/*", "application/json5", "application/vnd.shop+json", "json", "text/html;x=\"*/*\""} {
			acceptable(t, false, "no range on the list holds application/json", line)
		}
	})

	t.Run("refuses_what_has_weight_0", func(t *testing.T) {
		acceptable(t, true, "its weight is above 0", "application/json;q=0.001")
		for _, line := range []string{"application/json;q=0", "application/json; Q=0.000", "text/html, */*;q=0", "application/json;version=1;q=0"} {
			acceptable(t, false, "its weight is 0, which means: not acceptable (RFC 9110 §12.4.2)", line)
		}
	})

	t.Run("believes_the_range_that_is_most_exact", func(t *testing.T) {
		for _, line := range []string{"application/json;q=0, */*", "*/*, application/json;q=0", "*/*, application/*;q=0", "application/*, application/json;q=0, */*;q=0.5"} {
			acceptable(t, false, "the most exact range that holds application/json has weight 0. It counts, wherever it stands and whatever the others weigh: application/json before application/* before */* (RFC 9110 §12.5.1)", line)
		}
		for _, line := range []string{"*/*;q=0, application/json", "application/json;q=0.1, application/*;q=0, */*;q=0", "application/*, */*;q=0"} {
			acceptable(t, true, "the most exact range that holds application/json has a weight above 0, so it is acceptable whatever the others weigh (RFC 9110 §12.5.1)", line)
		}
	})

	t.Run("takes_the_higher_weight_of_two_that_are_the_same", func(t *testing.T) {
		for _, line := range []string{"application/json;q=0, application/json", "application/json;q=0.5, application/json;version=1;q=0", "text/html, */*, */*;q=0"} {
			acceptable(t, true, "two ranges on the list are the same (parameters do not count), and the higher of their weights does, whichever stands first", line)
		}
		acceptable(t, false, "both are the same range, and weigh nothing", "application/json;q=0, application/json;q=0.0")
	})

	t.Run("is_content_with_one_of_several_types", func(t *testing.T) {
		types := []string{"application/json", "text/csv"}
		for line, want := range map[string]bool{"text/csv": true, "application/json": true, "application/json;q=0, */*": true, "text/html": false, "*/*, text/*;q=0, application/json;q=0": false} {
			got := call(t, "Acceptable", func() bool { return validate.Acceptable([]string{line}, types) })
			require.Equal(t, want, got, "Acceptable, of a line %q and the types %q. Wanted: true if the client reads one of them", line, types)
		}
	})
}

func TestNew(t *testing.T) {
	t.Run("refuses_a_body_of_another_type", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		d.passes(t, post("application/json", "{}"), "its body is JSON")
		d.refuses(t, post("text/plain", "{}"), http.StatusUnsupportedMediaType, "its body is no JSON")
	})

	t.Run("says_which_types_it_reads", func(t *testing.T) {
		d := newDoor(t, validate.Config{ContentTypes: []string{"application/json", "Application/X-Ndjson"}})
		d.passes(t, post("application/x-ndjson", "{}"), "it is one of Config.ContentTypes")
		answer := d.refuses(t, post("text/csv", "a"), http.StatusUnsupportedMediaType, "it is none of Config.ContentTypes")
		require.Equal(t, []string{"application/json, application/x-ndjson"}, answer.Header["Accept"], "a 415's field Accept says what to send (RFC 9110 §15.5.16)")
		require.Empty(t, answer.Header["Accept-Encoding"], "Accept-Encoding in a 415 would say that a coding was the reason, and it was not (RFC 9110 §12.5.3)")
	})

	t.Run("asks_no_type_where_no_body_is", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		d.refuses(t, post("", "{}"), http.StatusUnsupportedMediaType, "it has a body, and no Content-Type")
		d.passes(t, httptest.NewRequest("GET", "/orders", nil), "it has no body, so it needs no Content-Type")
		d.passes(t, post("text/plain", ""), "its body is empty, Content-Length 0: whatever type it is, there is nothing to read")
		packed := httptest.NewRequest("GET", "/orders", nil)
		packed.Header.Set("Content-Encoding", "gzip")
		d.passes(t, packed, "it has no body, so nothing is packed")
	})

	t.Run("asks_whatever_the_method_is", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			good, bad := post("application/json", "{}"), post("text/plain", "{}")
			good.Method, bad.Method = method, method
			d.passes(t, good, "its body is JSON")
			d.refuses(t, bad, http.StatusUnsupportedMediaType, "it has a body that is no JSON. Any method may come with one, and those behind would read it")
		}
	})

	t.Run("counts_all_lines_of_a_field", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		accept := post("application/json", "{}")
		accept.Header["Accept"] = []string{"text/html", "application/json"}
		d.passes(t, accept, "several lines of Accept are one list (RFC 9110 §5.3), and application/json is on it. (Header.Get sees the first alone)")
		twice := post("application/json", "{}")
		twice.Header["Content-Type"] = []string{"application/json", "text/plain"}
		d.refuses(t, twice, http.StatusUnsupportedMediaType, "it has two lines of Content-Type, and who else reads it may take the other one. (Header.Get sees the first alone)")
	})

	t.Run("knows_a_body_without_a_length", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		d.passes(t, chunked(post("application/json", "{}")), "its body is JSON, of a length that is not known (Content-Length -1, as with Transfer-Encoding: chunked)")
		d.refuses(t, chunked(post("text/plain", "{}")), http.StatusUnsupportedMediaType, "it has a body that is no JSON, of a length that is not known (ContentLength is -1, as with Transfer-Encoding: chunked)")
	})

	t.Run("refuses_a_packed_body", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		identity, gzip := post("application/json", "{}"), post("application/json", "{}")
		identity.Header.Set("Content-Encoding", "identity")
		d.passes(t, identity, "identity means: not packed")
		gzip.Header.Set("Content-Encoding", "gzip")
		answer := d.refuses(t, gzip, http.StatusUnsupportedMediaType, "its Content-Encoding is gzip, and nobody unpacks it")
		require.Equal(t, []string{"identity"}, answer.Header["Accept-Encoding"], "the answer's Accept-Encoding says that the coding was the reason, and which one to take (RFC 9110 §12.5.3)")
	})

	t.Run("refuses_a_client_that_cannot_read_the_answer", func(t *testing.T) {
		d := newDoor(t, validate.Config{})
		get := httptest.NewRequest("GET", "/orders", nil)
		get.Header.Set("Accept", "application/json")
		d.passes(t, get, "its Accept is application/json")
		get.Header.Set("Accept", "text/html")
		d.refuses(t, get, http.StatusNotAcceptable, "its Accept is text/html alone")
		order := post("application/json", "{}")
		order.Header.Set("Accept", "text/html")
		d.refuses(t, order, http.StatusNotAcceptable, "its Accept is text/html alone: who cannot read the answer would not learn that the order is made, and order again")
		d = newDoor(t, validate.Config{Accept: []string{"text/html"}})
		d.passes(t, get, "its Accept is text/html, and so is Config.Accept")
	})

	t.Run("refuses_a_body_that_says_it_is_too_large", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		d.passes(t, post("application/json", strings.Repeat(" ", 98)+"{}"), "its Content-Length is 100, and so is Config.MaxBody")
		d.refuses(t, post("application/json", strings.Repeat(" ", 99)+"{}"), http.StatusRequestEntityTooLarge, "its Content-Length is 101, and Config.MaxBody is 100")
	})

	t.Run("does_not_read_a_body_that_says_it_is_too_large", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		req, touched := post("application/json", ""), false
		req.ContentLength = 1 << 40
		req.Body = io.NopCloser(readerFunc(func([]byte) (int, error) { touched = true; return 0, io.ErrUnexpectedEOF }))
		d.refuses(t, req, http.StatusRequestEntityTooLarge, "its Content-Length is 1 TiB, and Config.MaxBody is 100")
		require.False(t, touched, "a request came with Content-Length 1 TiB, and its body was read from. Wanted: 413 from the length alone. Who reads it all first, and checks then, has the whole of it in memory by the time that it is too late")
	})

	t.Run("limits_a_body_whose_length_is_not_known", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		hundred := strings.Repeat("x", 100)
		_, got := d.send(t, chunked(post("application/json", hundred)))
		require.True(t, got.called && got.err == nil && got.body == hundred, "a body of 100 octets, whose length is not known (ContentLength is -1), and Config.MaxBody is 100. Those behind read %d octets, and then %v. Wanted: all of them, and then EOF", len(got.body), got.err)

		_, got = d.send(t, chunked(post("application/json", hundred+"x")))
		require.True(t, got.called, "a body of unknown length was refused unread")
		require.LessOrEqual(t, len(got.body), 100, "a body of 101 octets, whose length is not known (ContentLength is -1), and Config.MaxBody is 100. Those behind read %d. A client need not say how much it will send, so its word is not enough: the body itself has to be limited", len(got.body))
		require.ErrorAs(t, got.err, new(*http.MaxBytesError), "a body of 101 octets, whose length is not known, and Config.MaxBody is 100. Those behind read %d octets and then the end (the error is %v). Wanted: *http.MaxBytesError. A body that ends at the limit looks whole, and is cut off", len(got.body), got.err)
	})

	t.Run("reads_no_further_than_those_behind", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		d.refuses(t, post("text/plain", "{}"), http.StatusUnsupportedMediaType, "its body is no JSON")
		first, arrived := make(chan string, 1), make(chan struct{})
		d.handle = func(c *gin.Context) error {
			p := make([]byte, 100)
			n, _ := c.Request.Body.Read(p)
			first <- string(p[:n])
			<-arrived
			return nil
		}
		body, client := io.Pipe()
		defer close(arrived)
		defer client.Close() // first, so that nobody waits for the rest
		go func() { _, _ = io.WriteString(client, "[1,") }()
		req := post("application/json", "")
		req.ContentLength, req.Body = -1, body
		go d.engine.ServeHTTP(httptest.NewRecorder(), req)
		select {
		case text := <-first:
			require.Equal(t, "[1,", text, "those behind read what has arrived of the body")
		case <-time.After(time.Second):
			require.Fail(t, "the body is read ahead", "The client has sent the first 3 octets of a body, and waits. Those behind were not called, or could not read these 3, within a second. Wanted: the body as it arrives. To read all of it first takes memory for each client that is slow")
		}
	})

	t.Run("answers_413_when_the_limit_is_met", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		answer, got := d.send(t, chunked(post("application/json", strings.Repeat("x", 101))))
		require.ErrorAs(t, got.err, new(*http.MaxBytesError), "a body of 101 octets, whose length is not known, and Config.MaxBody is 100: those behind must meet the limit")
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode, "those behind met the limit, and returned without an answer. Wanted: 413, by problem.Abort")
		require.Equal(t, problem.ContentType, answer.Header.Get("Content-Type"), "those behind met the limit, and returned without an answer. Wanted: a problem")
	})

	t.Run("leaves_an_answer_that_was_begun", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		d.handle = func(c *gin.Context) error {
			_, err := io.Copy(io.Discard, c.Request.Body)
			c.String(http.StatusTeapot, "met: %v", err != nil)
			return err
		}
		answer, _ := d.send(t, chunked(post("application/json", strings.Repeat("x", 101))))
		text, _ := io.ReadAll(answer.Body)
		require.Equal(t, "418 met: true", fmt.Sprint(answer.StatusCode, " ", string(text)), "those behind met the limit, and answered 418 themselves: that is the answer, and nothing is added")
	})

	t.Run("answers_413_while_the_client_still_sends", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		conn := d.dial(t, nil)
		conn.send("POST /orders HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[")
		answer, err := conn.answer()
		require.NoError(t, err, "Content-Length is 1000, and Config.MaxBody is 100. The client has sent one octet of the body, and waits: no answer within two seconds. Wanted: 413 at once, from the length alone")
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode, "Content-Length is 1000, and Config.MaxBody is 100")
		require.True(t, answer.Close, "413 for a body that was not read: the answer must have Connection: close, since the rest of that body would be taken for the next request")
	})

	t.Run("closes_the_connection_after_413", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		closes(t, d.dial(t, nil), "those behind met the limit and returned, so the answer was 413")
	})

	const rule = "http.MaxBytesReader sees to that if it is given net/http's own writer (connection finds it), whatever wraps it. c.Writer is gin's, which is asked in vain"

	t.Run("closes_it_whoever_answers", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		d.handle = answers
		closes(t, d.dial(t, nil), "those behind met the limit and answered 413 themselves, as gin's BindJSON does. "+rule)
	})

	t.Run("closes_it_through_other_wrappers_too", func(t *testing.T) {
		d := newDoor(t, validate.Config{MaxBody: 100})
		d.handle = answers
		closes(t, d.dial(t, func(w http.ResponseWriter) http.ResponseWriter { return wrapper{wrapper{w}} }),
			"those behind met the limit and answered 413 themselves. Before gin stood others who wrap the writer. "+rule)
	})
}

// answers reads the body, and answers itself if it is too large.
func answers(c *gin.Context) error {
	_, err := io.Copy(io.Discard, c.Request.Body)
	if err != nil {
		c.AbortWithStatus(http.StatusRequestEntityTooLarge)
	}
	return err
}

// closes asserts that a body that is too large, and does not say so, is answered by
// 413, and that the connection is closed then.
func closes(t *testing.T, conn *conn, why string) {
	t.Helper()
	const head = "POST /orders HTTP/1.1\r\nHost: shop.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	conn.send(head + chunk(100) + "0\r\n\r\n")
	answer, err := conn.answer()
	require.NoError(t, err, "a body of 100 octets in chunks, and Config.MaxBody is 100: an answer is wanted")
	require.Equal(t, http.StatusOK, answer.StatusCode, "a body of 100 octets in chunks, and Config.MaxBody is 100: it is not too large")
	require.False(t, answer.Close, "a body of 100 octets, and Config.MaxBody is 100: there is no reason to close the connection")

	conn.send(head + chunk(99) + chunk(2) + chunk(500) + "0\r\n\r\n")
	answer, err = conn.answer()
	require.NoError(t, err, "a body of 601 octets in chunks, and Config.MaxBody is 100: an answer is wanted")
	require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode, "a body of 601 octets in chunks, and Config.MaxBody is 100")
	rule := "a body of 601 octets in chunks, and Config.MaxBody is 100: " + why + ". Wanted: Connection: close in the answer, and then the connection closed, since what the client still sends would be taken for its next request"
	require.True(t, answer.Close, rule)
	require.True(t, conn.ended(), rule)
}

// Config is checked before anything else: that part is given.
//
//workshop:guard TestConfig/...
func TestConfig(t *testing.T) {
	t.Run("tells_all_faults_at_once", func(t *testing.T) {
		_, err := validate.New(validate.Config{ContentTypes: []string{"json", "application/json; charset=utf-8"}, Accept: []string{"*/*"}, MaxBody: -1})
		for _, fault := range []string{`ContentTypes: "json"`, `"application/json; charset=utf-8"`, `Accept: "*/*"`, "MaxBody is -1"} {
			require.ErrorContains(t, err, fault)
		}
	})
}

// Without a body, and with one.
func BenchmarkValidate(b *testing.B) {
	handler, err := validate.New(validate.Config{})
	require.NoError(b, err)
	engine := gin.New()
	engine.Use(handler)
	engine.Any("/orders", func(*gin.Context) {})
	for _, method := range []string{"GET", "POST"} {
		b.Run(method, func(b *testing.B) {
			req := httptest.NewRequest(method, "/orders", nil)
			req.Header.Set("Accept", "text/html, application/json;q=0.9, */*;q=0.8")
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				if method == "POST" {
					req.ContentLength, req.Body = 2, http.NoBody
				}
				engine.ServeHTTP(rec, req)
			}
		})
	}
}

// door is a gin engine with the handler under test in front.
type door struct {
	engine *gin.Engine
	handle func(*gin.Context) error // stands behind; what it returns is noted
	seen   seen
}

// seen is what those behind have seen.
type seen struct {
	called bool
	body   string
	err    error // of reading it, or of handle
}

// newDoor's own handler reads the body, and answers nothing.
func newDoor(t *testing.T, c validate.Config) *door {
	t.Helper()
	handler, err := validate.New(c)
	require.NoError(t, err)
	d := &door{engine: gin.New()}
	d.handle = func(c *gin.Context) error {
		text, err := io.ReadAll(io.LimitReader(c.Request.Body, 1<<20))
		d.seen.body = string(text)
		return err
	}
	d.engine.Use(handler)
	d.engine.Any("/orders", func(c *gin.Context) {
		d.seen.called = true
		d.seen.err = d.handle(c)
	})
	return d
}

// send returns the answer to req, and what those behind have seen of it.
func (d *door) send(t *testing.T, req *http.Request) (*http.Response, seen) {
	t.Helper()
	d.seen = seen{}
	rec := httptest.NewRecorder()
	call(t, "the handler", func() bool { d.engine.ServeHTTP(rec, req); return true })
	return rec.Result(), d.seen
}

func (d *door) passes(t *testing.T, req *http.Request, why string) {
	t.Helper()
	answer, got := d.send(t, req)
	require.True(t, got.called && answer.StatusCode == http.StatusOK, "%s\nThe answer is %d, and those behind were called: %v\nwanted: they are called, and the answer is theirs, 200: %s", describe(req), answer.StatusCode, got.called, why)
}

func (d *door) refuses(t *testing.T, req *http.Request, status int, why string) *http.Response {
	t.Helper()
	answer, got := d.send(t, req)
	require.False(t, got.called, "%s\nThe answer is %d, and those behind were called\nwanted: %d, and they are not: %s", describe(req), answer.StatusCode, status, why)
	require.Equal(t, status, answer.StatusCode, "%s\nThe answer's status. Wanted: %d, because %s", describe(req), status, why)
	require.Equal(t, problem.ContentType, answer.Header.Get("Content-Type"), "%s\nThe answer's Content-Type: a refusal is a problem (problem.Abort)", describe(req))
	var details problem.Details
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&details), "the problem is one JSON document")
	require.Equal(t, status, details.Status, "the problem's status is the answer's")
	return answer
}

func describe(req *http.Request) string {
	s := fmt.Sprintf("%s %s, ContentLength %d", req.Method, req.URL.Path, req.ContentLength)
	for _, name := range []string{"Content-Type", "Content-Encoding", "Accept"} {
		if lines := req.Header[name]; len(lines) > 0 {
			s += fmt.Sprintf(", %s: %s", name, strings.Join(lines, " | "))
		}
	}
	return s
}

func post(contentType, body string) *http.Request {
	req := httptest.NewRequest("POST", "/orders", strings.NewReader(body))
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

// chunked is req as net/http makes it when the length is not known.
func chunked(req *http.Request) *http.Request {
	req.ContentLength, req.TransferEncoding = -1, []string{"chunked"}
	return req
}

// dial starts a server with d's engine, whose writers wrap wraps unless it is nil.
func (d *door) dial(t *testing.T, wrap func(http.ResponseWriter) http.ResponseWriter) *conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrap != nil {
			w = wrap(w)
		}
		d.engine.ServeHTTP(w, r)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln)
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		server.Close()
		<-ended
	})
	return &conn{Conn: c, from: bufio.NewReader(c)}
}

// conn is a client that writes its own HTTP/1.1.
type conn struct {
	net.Conn
	from *bufio.Reader
}

func (c *conn) send(text string) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.WriteString(c.Conn, text) // that the server has closed is seen by answer
}

// answer reads one answer, and its body.
func (c *conn) answer() (*http.Response, error) {
	answer, err := http.ReadResponse(c.from, nil)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, err
}

// ended reports whether the server has closed the connection, or does so within two
// seconds.
func (c *conn) ended() bool {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	_, err := c.from.ReadByte()
	timeout := net.Error(nil)
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

func chunk(size int) string { return fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size)) }

// wrapper is a writer as many make one.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// understood asserts what Understood says of lines, where JSON alone can be read.
func understood(t *testing.T, want bool, why string, lines ...string) {
	t.Helper()
	got := call(t, "Understood", func() bool { return validate.Understood(lines, jsonAlone) })
	require.Equal(t, want, got, "Understood, of the lines %q and the type application/json, is %v\nwanted %v: %s", lines, got, want, why)
}

// acceptable asserts what Acceptable says of lines, where answers are JSON.
func acceptable(t *testing.T, want bool, why string, lines ...string) {
	t.Helper()
	got := call(t, "Acceptable", func() bool { return validate.Acceptable(lines, jsonAlone) })
	require.Equal(t, want, got, "Acceptable, of the lines %q and the type application/json, is %v\nwanted %v: %s", lines, got, want, why)
}

// call calls f, which has two seconds to return, and must not panic.
func call(t *testing.T, what string, f func() bool) (result bool) {
	t.Helper()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		result = f()
	}()
	select {
	case fault := <-done:
		require.Nil(t, fault, "%s panicked: %v", what, fault)
	case <-time.After(2 * time.Second):
		require.FailNow(t, what+" has not returned", "within two seconds")
	}
	return result
}
