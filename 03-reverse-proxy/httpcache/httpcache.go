// Package httpcache is the contract of the cache in chapter 3: what a stored
// response is, and how Cache-Control is read. It decides nothing.
//
// A request takes this path: package cache looks for a stored response under
// the URL and storable.Key, asks package freshness whether it may still be
// used, and otherwise sends the request on, with the conditions that package
// revalidate adds, once for all who wait for it (package collapse). Of the
// answer, storable.May says whether it is kept. In the story, the gatekeeper
// keeps copies of what was asked for before at the door.
//
// Source: RFC 9111 (HTTP Caching), as a shared cache; RFC 9213 (targeted
// cache control); RFC 5861 (stale-while-revalidate, stale-if-error).
package httpcache

import (
	"net/http"
	"time"
)

// Response is a response as it is stored. Once it is stored nothing of it is
// changed, so that many may read it at once: to update one is to make another.
type Response struct {
	// Status is the final status: 200, never 1xx, and never 304.
	Status int
	// Header is as the origin sent it, without the fields that hold for one
	// connection, and without those that are for one client alone. It is never nil.
	Header http.Header
	// Requested is when the request was sent that brought this response, or that
	// last confirmed it (RFC 9111 §4.2.3, request_time); Received is when the
	// header of the answer came (response_time).
	Requested, Received time.Time
	// Body is the content. nil means that there is none.
	Body *Body
}
