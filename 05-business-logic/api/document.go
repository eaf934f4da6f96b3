package api

import (
	_ "embed"
	"slices"

	"github.com/gin-gonic/gin"
)

//go:embed openapi.json
var openapi []byte

var openapiTag = entityTag(openapi)

// Document is the description of the API, by OpenAPI 3.1, as JSON: what GET
// /openapi.json answers. The slice is the caller's own.
func Document() []byte { return slices.Clone(openapi) }

// document answers GET and HEAD of /openapi.json.
func document(c *gin.Context) { send(c, openapi, openapiTag, "public, max-age=60") }
