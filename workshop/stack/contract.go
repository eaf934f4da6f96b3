// Package stack runs a chapter's programs: it builds them, with the learner's
// packages in them on demand, starts each role as a process, and sends requests
// through. It knows no chapter; all it needs is a small contract that each
// chapter's main keeps:
//
//	main -describe                    prints a Description
//	main -role NAME -events           runs one role until its standard input
//	                                  ends, and prints an Event a line
//	main -role click -events [-n N] URL
//	                                  makes N requests, a click Event each
//
// WORKSHOP_DIR in the environment is where keys and state go.
package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Description is what a chapter's main says of itself.
type Description struct {
	Title string            `json:"title"`
	URL   string            `json:"url"` // where a click goes by default
	Roles []Role            `json:"roles"`
	Try   []Try             `json:"try"`
	Env   map[string]string `json:"env"` // the variables that it reads, and what they mean
}

// Role is one process of the stack.
type Role struct {
	Name string `json:"name"`
	What string `json:"what"`
	Addr string `json:"addr"`
	Held bool   `json:"held"` // see holding
}

// Try is one thing to do while the stack runs.
type Try struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

// Event is one line of a role's standard output.
type Event struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // ready, request, stopped, failed, click
	Role  string    `json:"role"`

	Addr  string `json:"addr"`  // ready
	Error string `json:"error"` // failed: what to do next

	Summary string            `json:"summary"` // request
	Micros  int64             `json:"us"`
	Detail  map[string]string `json:"detail"`

	Click
}

// Click is one request as the client saw it.
type Click struct {
	URL     string  `json:"url"`
	Status  int     `json:"status"`
	Proto   string  `json:"proto"`
	Reused  bool    `json:"reused"`  // the connection
	Resumed bool    `json:"resumed"` // the TLS session
	Phases  []Phase `json:"phases"`
	Hops    []Hop   `json:"hops"`
	Body    string  `json:"body"`
}

// Phase is a part of a request's time, in microseconds from its start.
type Phase struct {
	Name   string `json:"name"`
	Start  int64  `json:"start_us"`
	Micros int64  `json:"us"`
	Detail string `json:"detail"`
}

// Hop is what one server on the way says that it took.
type Hop struct {
	Name   string `json:"name"`
	Micros int64  `json:"us"`
	Detail string `json:"detail"`
}

// decode reads one JSON value, and refuses what the contract does not know.
func decode(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("stack: this does not keep the contract between tool and chapter: %w: %.200s", err, line)
	}
	return nil
}
