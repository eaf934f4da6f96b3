//go:build ignore

// It takes the extension off by TrimRight. But that wants a set of characters, and
// takes all of them from the end, wherever they came from: of press.css it leaves
// "pre", and a name that nobody wrote.
//
//workshop:caught-by TestName/keeps_its_folder_and_its_extension
//workshop:says TrimRight would take any of its characters
package static

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

func fingerprinted(name string, content []byte) string {
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	return strings.TrimRight(name, ext) + "." + hex.EncodeToString(sum[:4]) + ext
}
