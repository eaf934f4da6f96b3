package problem_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/problem"
)

func init() { gin.SetMode(gin.ReleaseMode) }

func TestWrite(t *testing.T) {
	t.Run("sends_a_problem_document", func(t *testing.T) {
		rec := httptest.NewRecorder()
		problem.Write(rec, problem.Details{
			Type: "https://shop.test/problems/sold-out", Title: "Sold out", Status: http.StatusConflict,
			Detail: "There is no soup left. <Try> the fish & chips.", Instance: "01K30T8Z",
		})
		resp := rec.Result()
		assert.Equal(t, http.StatusConflict, resp.StatusCode)
		assert.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"), "RFC 9457 §3")
		assert.Equal(t, fmt.Sprint(rec.Body.Len()), resp.Header.Get("Content-Length"))
		assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		var members map[string]any
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &members))
		assert.Equal(t, map[string]any{
			"type": "https://shop.test/problems/sold-out", "title": "Sold out", "status": 409.0,
			"detail": "There is no soup left. <Try> the fish & chips.", "instance": "01K30T8Z",
		}, members)
	})

	t.Run("leaves_out_what_is_empty", func(t *testing.T) {
		rec := httptest.NewRecorder()
		problem.Write(rec, problem.Details{Status: http.StatusNotFound})
		assert.JSONEq(t, `{"title": "Not Found", "status": 404}`, rec.Body.String(), "an absent type is about:blank, whose title is the status' own text: RFC 9457 §4.2.1")
	})

	t.Run("takes_the_place_of_an_answer_that_was_prepared", func(t *testing.T) {
		rec := httptest.NewRecorder()
		for name, value := range map[string]string{
			"Content-Type": "text/html", "Content-Length": "3", "Content-Encoding": "gzip", "Content-Range": "bytes 0-2/3",
			"Content-Disposition": "attachment", "Content-Language": "fr", "ETag": `"1"`, "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT",
			"Expires": "Mon, 02 Jan 2056 15:04:05 GMT", "Cache-Control": "max-age=60",
			"X-Request-ID": "01K30T8Z", "Vary": "Origin",
		} {
			rec.Header().Set(name, value)
		}
		problem.Write(rec, problem.Details{Status: http.StatusInternalServerError})
		assert.Equal(t, http.Header{
			"Content-Type":   {problem.ContentType},
			"Content-Length": {fmt.Sprint(rec.Body.Len())},
			"Cache-Control":  {"no-store"},
			"X-Request-Id":   {"01K30T8Z"},
			"Vary":           {"Origin"},
		}, rec.Result().Header, "what spoke of the other body is gone, what speaks of the request stays")
	})

	t.Run("answers_HEAD_without_a_body", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			problem.Write(w, problem.Details{Status: http.StatusForbidden})
		}))
		defer server.Close()
		resp, err := server.Client().Head(server.URL)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Empty(t, body)
		assert.Equal(t, http.StatusForbidden, resp.StatusCode)
		assert.Positive(t, resp.ContentLength, "as a GET would have it: RFC 9110 §9.3.2")
	})
}

func TestAbort(t *testing.T) {
	serve := func(refuse gin.HandlerFunc) (rec *httptest.ResponseRecorder, behind bool) {
		engine := gin.New()
		engine.GET("/menu", refuse, func(c *gin.Context) {
			behind = true
			c.String(http.StatusOK, "soup")
		})
		rec = httptest.NewRecorder()
		engine.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/menu", nil))
		return rec, behind
	}

	t.Run("answers_and_calls_no_handler_behind", func(t *testing.T) {
		rec, behind := serve(func(c *gin.Context) { problem.Abort(c, problem.Details{Status: http.StatusForbidden}) })
		assert.False(t, behind)
		assert.Equal(t, http.StatusForbidden, rec.Code)
		assert.JSONEq(t, `{"title": "Forbidden", "status": 403}`, rec.Body.String())
	})

	t.Run("leaves_an_answer_alone_that_was_begun", func(t *testing.T) {
		rec, behind := serve(func(c *gin.Context) {
			c.String(http.StatusAccepted, "half a")
			problem.Abort(c, problem.Details{Status: http.StatusForbidden})
		})
		assert.False(t, behind)
		assert.Equal(t, "202 half a", fmt.Sprint(rec.Code, " ", rec.Body))
		assert.NotEqual(t, problem.ContentType, rec.Result().Header.Get("Content-Type"))
	})
}
