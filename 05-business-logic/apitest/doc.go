// Package apitest holds an API to its word: each request and each answer against the
// OpenAPI document that it serves, in tests. Contract is the judge, Stand an API with an
// order service behind it, whose parts fail when they are told to, and Visit a visitor
// who makes requests of the document: valid, nearly valid, and wild.
//
// Chapter 5's API is held so, and chapter 7's, which answers more.
//
// Source: OpenAPI Specification 3.1; RFC 9457 (problems).
package apitest
