// Package answer is what package controller answers with in the finished service: the
// form that the client wants, by representation, and only what it has not got already,
// by conditional. And it lets in the condition of a client that changes an order.
//
//	GET    controller ─► Render ─► Negotiate ─► Check ─► 200, 304, 406, 412
//	POST   Condition ─► … controller ─► ordering ─► order.CheckCondition ─► 412
//	                                       └─► Render ─► 200, 201, 202
//
// # Where If-Match is checked
//
// Not here. Between a look at the order and the change, another change would fit, and
// the two are what the condition is to keep apart. So Condition puts it into the
// request's context, and package ordering asks it of the order that the change begins
// with. order.Orders.Update keeps a change only if the version is still that one; if it
// is not, ordering reads the order anew, and asks again.
package answer

import (
	"net/http"
	"path"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/05-business-logic/solution/controller"
	"clicktocode.example/07-response-observability/solution/conditional"
	"clicktocode.example/07-response-observability/solution/representation"
)

// Produces is what Render writes beside JSON: see api.Config.
var Produces = []string{representation.XML}

// Render answers with status and v: see controller.Config.
//
// An order has an ETag. To GET and HEAD, which are conditional, it comes with
// "private, no-cache": the client may keep it, no cache that others use may, and before
// each use it asks whether it is still good. Who asks is authenticated first, so another
// user of the same browser gets nothing. The answer to a change says by Content-Location
// where the order that it shows can be found, so that the ETag is one of that. A list
// has none: it changes with each of its orders.
//
// That v has no form is a fault of ours: it is noted (c.Error) and answered by 500.
func Render(c *gin.Context, status int, v any) {
	mediaType, ok := representation.Negotiate(c.Writer, c.Request)
	if !ok {
		c.Abort()
		return
	}
	if o, one := v.(*controller.Order); one {
		tag := conditional.Tag(o.Version, mediaType)
		if safe(c.Request) {
			c.Header("Cache-Control", "private, no-cache")
			if conditional.Check(c.Writer, c.Request, tag) {
				c.Abort()
				return
			}
		} else {
			c.Header("Etag", tag)
			c.Header("Content-Location", location(c))
		}
	}
	if err := representation.WriteAs(c.Writer, status, mediaType, v); err != nil {
		_ = c.Error(err)
		problem.Abort(c, problem.Details{Status: http.StatusInternalServerError, Detail: "Something went wrong here. Try again in a while."})
	}
}

// location is the path of the order that a change answers with: of a new one, that is
// the Location; of a step, /orders/17/cancel, what the step is taken of.
func location(c *gin.Context) string {
	if created := c.Writer.Header().Get("Location"); created != "" {
		return created
	}
	return path.Dir(c.Request.URL.EscapedPath())
}

// Condition has a change of an order depend on the request's If-Match and If-None-Match,
// if it has one. It stands anywhere ahead of the routes, as api.Config's Before, say. Of
// GET and HEAD, Render sees to them; when an order is placed, nothing is there yet that
// could have been seen, and they count for nothing.
//
// The condition is about the order: one that takes a step has seen that, and not the
// step. Which form of it, does not matter.
//
// A client that has sent a change, and got no answer, and sends it again, gets 412, if
// the first one was done. Then it looks at the order, and sees.
func Condition(c *gin.Context) {
	r := c.Request
	if safe(r) || len(r.Header["If-Match"]) == 0 && len(r.Header["If-None-Match"]) == 0 {
		return
	}
	c.Request = r.WithContext(order.WithCondition(r.Context(), func(o order.Order) bool {
		var tags []string
		for _, mediaType := range representation.Forms() {
			tags = append(tags, conditional.Tag(o.Version, mediaType))
		}
		status, _ := conditional.Evaluate(r, tags...)
		return status == 0
	}))
}

func safe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
