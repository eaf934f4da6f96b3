package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// LimitsConfig bounds a request. Each field that is zero has its default.
type LimitsConfig struct {
	// Fields is how many lines a header may have. 100. Its size is up to
	// http.Server's MaxHeaderBytes, which lets a megabyte of short lines pass.
	Fields int
	// Body is how large a request's body may be, in octets, whether its length is
	// announced or not. 1 MiB.
	Body int64
	// Time is how long a request may take in all, up to the last octet of its
	// answer: streams and tunnels, too. Zero is as long as it likes.
	Time time.Duration
}

// Limits is an http.Handler that refuses what is too much. Make one with
// NewLimits.
type Limits struct {
	next http.Handler
	c    LimitsConfig
}

// NewLimits returns a Limits that hands to next what is within c, or all faults
// of c.
func NewLimits(next http.Handler, c LimitsConfig) (*Limits, error) {
	var faults []error
	if next == nil {
		faults = append(faults, errors.New("proxy: limits without a handler behind them"))
	}
	if c.Fields < 0 || c.Body < 0 || c.Time < 0 {
		faults = append(faults, fmt.Errorf("proxy: limits of %d fields, %d octets, %v", c.Fields, c.Body, c.Time))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Fields == 0 {
		c.Fields = 100
	}
	if c.Body == 0 {
		c.Body = 1 << 20
	}
	return &Limits{next, c}, nil
}

// ServeHTTP hands on r, if it is within the limits. Too many fields are answered
// with 431, a body that announces itself as too large with 413, before any of it
// is read. One that turns out to be too large ends in an *http.MaxBytesError, and
// the connection is closed after the answer. When the time is over, r's context is
// done: whoever works on r answers, or cuts the answer that has begun.
//
// w should be net/http's own: MaxBytesReader tells it to close the connection.
func (l *Limits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fields := 0
	for _, lines := range r.Header {
		fields += len(lines)
	}
	if fields > l.c.Fields {
		refuse(w, http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	if len(r.Header["Content-Length"]) > 1 { // HTTP/2's: net/http takes the first (RFC 9113 §8.1.1 wants none of it)
		refuse(w, http.StatusBadRequest)
		return
	}
	if r.ContentLength > l.c.Body {
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // otherwise net/http reads the body first, if it is not too large for that
		}
		refuse(w, http.StatusRequestEntityTooLarge)
		return
	}
	ctx := r.Context()
	if l.c.Time > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.c.Time)
		defer cancel()
	}
	if l.c.Time > 0 || r.ContentLength != 0 {
		r = r.WithContext(ctx) // a copy
	}
	if r.ContentLength != 0 {
		r.Body = http.MaxBytesReader(w, r.Body, l.c.Body)
	}
	l.next.ServeHTTP(w, r)
}
