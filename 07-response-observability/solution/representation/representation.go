// Package representation answers in the form that the client wants: as JSON or as
// XML. Both say the same. In HTTP's words, an order is a resource, and each form of
// it is a representation.
//
//	Accept: application/xml, */*;q=0.1  ─► Choose ─► application/xml ─► Encode
//	                                          └────► nothing: 406
//
// The client says in the field Accept what it can read, and what it likes how well.
// The server says in the field Vary that it has looked there, so that a cache does
// not give one client's form to another.
//
// In the story, this is how the meal goes back: on a plate, in a box, or not at all,
// if the guest eats from neither.
//
// It is the cousin of chapter 3's package acceptencoding. What is new are ranges:
// "text/*" speaks for many types at once, and whatever names a type more exactly
// overrules it.
//
// Source: RFC 9110 §12.5.1 (Accept), §12.4.2 (weights), §12.5.5 (Vary), §15.5.7
// (406); RFC 8259 §11 (JSON's media type); RFC 7303 §9.1 (XML's).
package representation

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
)

// The media types of the forms.
const (
	JSON = "application/json"
	XML  = "application/xml"
)

// Forms are the media types that Write can make, the server's favourite first. The
// slice is the caller's own.
func Forms() []string { return []string{JSON, XML} }

// Choose returns the one of offers that the client likes best. accept are the lines
// of its field Accept, as in http.Header; there are none if it sent no such field.
// offers are media types, "application/json" or "text/plain;format=flowed", the
// server's favourite first. There is at least one, and each can be read by parse.
// Neither accept nor offers is changed.
//
// Each offer has a weight, from 0 to 1, which the ranges in accept give to it (RFC
// 9110 §12.5.1):
//
//   - A range covers an offer if the offer is what it names: "*/*" covers everything,
//     "text/*" all text, "text/plain" that, with whatever parameters, and
//     "text/plain;format=flowed" only what has this parameter, too.
//   - Of the ranges that cover an offer, the most exact one gives its weight, wherever
//     it stands. It is the more exact the more of these it names, each counting one:
//     the type, the subtype, each parameter. Among equally exact ones, the highest
//     weight counts, also above a 0.
//   - An offer that no range covers has weight 0.
//
// The highest weight wins; among equals, the one that comes first in offers, however
// exactly each was named: "application/xml, */*" gets JSON where JSON is offered first.
// Weight 0 means: not acceptable. ok is false if there is nothing else; mediaType is
// empty then.
//
// A client that lists nothing takes everything, so it gets the first offer: one that
// sends no such field, an empty one, or one in which no element can be read. The RFC
// does not say what becomes of an element that cannot be read (see [ranges]). Here it
// lists nothing, and refuses nothing.
func Choose(accept, offers []string) (mediaType string, ok bool) {
	//workshop:begin return "", false
	//workshop:todo Read the ranges (given, in accept.go). For each offer find the weight that they
	//workshop:todo give it, and keep the best: parse reads an offer, too, and m.covers(o) reports
	//workshop:todo whether a range covers it.
	listed := ranges(accept)
	if len(listed) == 0 {
		return offers[0], true
	}
	best := 0
	for _, offer := range offers {
		if q := weight(listed, offer); q > best { // not >=: among equals the server's order decides
			mediaType, best = offer, q
		}
	}
	return mediaType, best > 0
	//workshop:end
}

// weight is what the ranges give to offer, in thousandths.
//
//workshop:omit
func weight(listed []mediaRange, offer string) (q int) {
	o, _ := parse(offer)
	exact := -1
	for _, m := range listed {
		if !m.covers(o) {
			continue
		}
		names := len(m.params)
		if m.kind != "*" {
			names++
		}
		if m.sub != "*" {
			names++
		}
		if names > exact || names == exact && m.q > q {
			exact, q = names, m.q
		}
	}
	return q
}

// Negotiate returns the one of Forms that the answer to r is to have, by Choose.
//
// Whatever comes of it, Vary in w's header names Accept from then on, beside what it
// has named before: the answer depends on it, and so does a refusal.
//
// If no form is acceptable, it depends on what r is. To GET and HEAD, Negotiate
// answers 406 (refuse); mediaType is empty, and ok false: then there is nothing left to
// do. Every other method has done by now what it was to do, and a 406 would say that it
// had failed. So the answer has the first form; the RFC leaves that to the server
// (§12.4.1).
func Negotiate(w http.ResponseWriter, r *http.Request) (mediaType string, ok bool) {
	//workshop:begin return "", false
	//workshop:todo Vary first, and then Choose among Forms(). If there is nothing: was something
	//workshop:todo done already? Otherwise refuse(w, r).
	w.Header().Add("Vary", "Accept") // not Set: cors has named Origin there
	if mediaType, ok = Choose(r.Header["Accept"], Forms()); ok {
		return mediaType, true
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Forms()[0], true // who reads 406 orders the dinner again
	}
	refuse(w, r)
	return "", false
	//workshop:end
}

// refuse answers 406, and says what there is (RFC 9110 §15.5.7).
func refuse(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, problem.Details{
		Status:   http.StatusNotAcceptable,
		Detail:   "This can be had as " + strings.Join(Forms(), ", ") + ": the field Accept must allow one of them.",
		Instance: request.ID(r.Context()),
	})
}

// Write answers r with status and v, in the form that Negotiate chooses. v is what
// package controller answers with: a *controller.Order or a *controller.Page.
//
// An error means that nothing was sent, since v is something else. That the client has
// left is none.
func Write(w http.ResponseWriter, r *http.Request, status int, v any) error {
	mediaType, ok := Negotiate(w, r)
	if !ok {
		return nil
	}
	return WriteAs(w, status, mediaType, v)
}

// WriteAs answers with status and v in the form mediaType, one of Forms: it is Write
// for who has called Negotiate already.
func WriteAs(w http.ResponseWriter, status int, mediaType string, v any) error {
	if !slices.Contains(Forms(), mediaType) {
		return fmt.Errorf("representation: %q is none of %q", mediaType, Forms())
	}
	text, err := Encode(mediaType, v)
	if err != nil {
		return err
	}
	if mediaType == XML {
		mediaType += "; charset=utf-8" // JSON's media type has no such parameter: it is UTF-8 always
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // to a client that may be gone
	return nil
}
