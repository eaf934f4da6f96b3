package api

import (
	_ "embed"
	"slices"

	"github.com/gin-gonic/gin"
)

//go:embed openapi.json
var openapi []byte

// Document is the description of the API, by OpenAPI 3.1, as JSON: what GET
// /openapi.json answers. The slice is the caller's own.
func Document() []byte { return slices.Clone(openapi) }

// document returns what answers GET and HEAD of /openapi.json: with text, or, if that is
// nil, with Document.
func document(text []byte) gin.HandlerFunc {
	if text == nil {
		text = openapi
	}
	tag := entityTag(text)
	return func(c *gin.Context) { send(c, text, tag, "public, max-age=60") }
}
