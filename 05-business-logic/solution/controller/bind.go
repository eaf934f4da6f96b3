package controller

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/05-business-logic/order"
)

// bind reads the request's body, which is to be one JSON object, into v, a pointer
// to a struct. If it cannot, it answers, 400 or 413, and returns false: then there
// is nothing left to do.
//
// It is strict, since what it lets pass in silence is lost in silence. It refuses
// what v has no field for ("quantitiy": 3 would order nothing), names in another
// case, a name that comes twice (a firewall may read the first, and we the last),
// text that is not UTF-8 or has a U+0000 in it (see storable), and anything behind
// the object.
//
// The body's size is bounded by who stands in front: see package validate.
func bind(c *gin.Context, v any) bool {
	text, err := io.ReadAll(c.Request.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem.Abort(c, problem.Details{
			Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("The body is too large: send at most %d octets.", tooLarge.Limit),
		})
		return false
	case err != nil:
		_ = c.Error(err)
		problem.Abort(c, kind(http.StatusBadRequest, "malformed", "The body did not arrive whole. Send it again."))
		return false
	}
	if fault := decode(text, v); fault != "" {
		problem.Abort(c, kind(http.StatusBadRequest, "malformed", fault))
		return false
	}
	return true
}

// decode is bind, without the web around it. fault is for the customer, and empty
// if there is none.
func decode(text []byte, v any) (fault string) {
	if !utf8.Valid(text) {
		return "The body is not UTF-8." // encoding/json would put U+FFFD in, and "é" become another name
	}
	if fault := names(text); fault != "" {
		return fault
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("%s: %s is not what goes here.", orBody(wrong.Field), wrong.Value)
	case err != nil: // its text names Go's own types, and is not for the customer
		return "The body has a field that is not known here, or a value that does not fit. An order is {\"lines\": [{\"dish\": \"ramen\", \"quantity\": 1}]}."
	}
	return ""
}

func orBody(field string) string {
	if field == "" {
		return "The body"
	}
	return field
}

// maxDepth is how deep objects and arrays may be in each other. An order needs 3.
const maxDepth = 8

// unusual reports whether c is in no name that we know.
func unusual(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }

// names checks that text is one JSON object, with nothing behind it, and that in
// each object a name comes once, and is not unusual: encoding/json takes "LINES" for
// "lines", and the last of two.
func names(text []byte) (fault string) {
	const notJSON = "The body is not a JSON object, or there is something behind it."
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var open []map[string]bool // the objects (nil: arrays) that we are in, with the names so far
	name := false              // whether a name comes next, in an object
	for first := true; first || len(open) > 0; first = false {
		token, err := d.Token()
		if err != nil || first && token != json.Delim('{') {
			return notJSON
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			if len(open) > maxDepth {
				return "The body is nested too deep."
			}
		case string:
			if name {
				in := open[len(open)-1]
				if in[token] || strings.ContainsFunc(token, unusual) {
					return fmt.Sprintf("The name %.40q comes twice in an object, or is not known here.", token)
				}
				in[token], name = true, false
				continue
			}
			if !storable(token) {
				return "The body has a text with U+0000 in it."
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
	if _, err := d.Token(); err != io.EOF {
		return notJSON
	}
	return ""
}

// storable reports whether text can be kept where orders are: PostgreSQL's text has
// neither U+0000 nor what is no UTF-8. What comes from outside is asked here, or a
// path such as /orders/%00 would be a fault of the database's, and of ours.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// orderID is the order's ID in the path. If it is one that no order has, orderID
// answers, 404, and ok is false: then there is nothing left to do.
func orderID(c *gin.Context) (id string, ok bool) {
	id = c.Param("id")
	if !storable(id) {
		refuse(c, order.ErrNotFound)
		return "", false
	}
	return id, true
}

// query reads the query string of a list. fault is for the customer. It is as strict as
// bind: "stat=paid" would list all, and the customer believe that they are paid.
func query(raw string) (q order.Query, fault string) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, "The query cannot be read."
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case name != "limit" && name != "state" && name != "after":
			return q, fmt.Sprintf("%.40q is not known here: the query may have limit, state and after.", name)
		case len(values[name]) > 1:
			return q, fmt.Sprintf("%.40q comes twice in the query.", name)
		}
	}
	q.Limit = DefaultLimit
	if values.Has("limit") {
		q.Limit, err = strconv.Atoi(values.Get("limit"))
		if err != nil || q.Limit < 1 || q.Limit > MaxLimit {
			return q, fmt.Sprintf("limit must be a number from 1 to %d.", MaxLimit)
		}
	}
	if values.Has("state") {
		q.State = order.State(values.Get("state"))
		if !slices.Contains(order.States(), q.State) {
			return q, "state must be one of " + fmt.Sprint(order.States()) + "."
		}
	}
	if values.Has("after") {
		var ok bool
		if q.After, ok = decodeCursor(values.Get("after")); !ok {
			return q, "after must be what next was, in the page before."
		}
	}
	return q, ""
}

// encodeCursor is c as text that goes into a URL as it is. It is not secret, but
// nobody should build one: what is in it may change.
func encodeCursor(c order.Cursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", c.Created.UnixMicro(), c.ID))
}

func decodeCursor(text string) (c order.Cursor, ok bool) {
	if len(text) > 512 {
		return c, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || !storable(string(raw)) {
		return c, false
	}
	micros, id, found := strings.Cut(string(raw), ".")
	at, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || !found || id == "" || at < 0 || at >= 253402300800e6 { // the year 10000: no database keeps more
		return c, false
	}
	return order.Cursor{Created: time.UnixMicro(at).UTC(), ID: id}, true
}
