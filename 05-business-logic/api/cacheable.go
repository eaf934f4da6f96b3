package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
)

// entityTag is that of text. It is made of text alone, so all replicas that have the
// same to say give it the same tag, and a cache may ask any of them.
func entityTag(text []byte) string {
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// send answers a GET or HEAD with text, which is JSON, and the same for everybody. tag
// is its entityTag, and caching the field Cache-Control.
//
// If the client has it already (If-None-Match), it is 304; if it wants another one
// (If-Match), it is 412: RFC 9110 §13.2.2. A request for a range gets all of it, as
// §14.2 allows.
func send(c *gin.Context, text []byte, tag, caching string) {
	asked, h := c.Request.Header, c.Writer.Header()
	h.Set("Cache-Control", caching)
	h.Set("ETag", tag)
	if lines := asked["If-Match"]; len(lines) > 0 && !lists(lines, tag, false) {
		problem.Abort(c, problem.Details{Status: http.StatusPreconditionFailed, Detail: "What is here is not what If-Match asks for. Leave the field out to get it."})
		return
	}
	if lines := asked["If-None-Match"]; len(lines) > 0 && lists(lines, tag, true) {
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text))) // also of a HEAD, which has no body
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	if c.Request.Method != http.MethodHead {
		_, _ = c.Writer.Write(text) // to a client that may be gone
	}
}

// lists reports whether the lines of an If-Match or If-None-Match are "*" or have
// tag in their list: RFC 9110 §13.1. weak says that W/"x" counts as "x" (§8.8.3.2).
// What stands behind something that is no entity tag is not looked at.
func lists(lines []string, tag string, weak bool) bool {
	if len(lines) == 1 && strings.Trim(lines[0], " \t") == "*" {
		return true
	}
	for _, line := range lines {
		for {
			line = strings.TrimLeft(line, " \t,")
			bare, isWeak := strings.CutPrefix(line, "W/")
			if bare == "" || bare[0] != '"' {
				break
			}
			end := strings.IndexByte(bare[1:], '"') + 2 // a tag may have commas in it
			if end == 1 {
				break
			}
			if bare[:end] == tag && (weak || !isWeak) {
				return true
			}
			line = bare[end:]
		}
	}
	return false
}
