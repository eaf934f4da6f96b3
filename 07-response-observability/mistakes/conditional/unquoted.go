//go:build ignore

// It leaves the quotes out, as if they were Go's. They are a part of the tag: without
// them, it is none, and whoever reads a list of tags finds nothing in it.
//
//workshop:caught-by TestTag/is_an_entity_tag
//workshop:says an entity tag stands in double quotes
package conditional

import "strconv"

func Tag(version int, mediaType string) string {
	return strconv.Itoa(version) + "-" + mediaType
}
