//go:build ignore

// It makes the fingerprint from the name. That looks right, and stays the same when
// the file changes: browsers keep the old content for a year.
//
//workshop:caught-by TestName/changes_with_the_content
//workshop:says before and after its content changed
package static

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

func fingerprinted(name string, content []byte) string {
	sum := sha256.Sum256([]byte(name))
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:4]) + ext
}
