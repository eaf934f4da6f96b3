//go:build ignore

// It makes the tag from the length, as servers do that do not want to read the
// file, most of them together with the time when it was written. A page that says
// fish instead of soup is as long, and the time is another one on each edge.
//
//workshop:caught-by TestTag/changes_with_the_content
//workshop:says which is as long
package static

import "fmt"

func tag(content []byte) string { return fmt.Sprintf(`"%x"`, len(content)) }
