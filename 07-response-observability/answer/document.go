package answer

import (
	"bytes"
	_ "embed"
	"encoding/json"

	"clicktocode.example/05-business-logic/api"
)

//go:embed openapi.merge.json
var changes []byte

// Document is what api.Document says, and what this package makes of it: see
// api.Config. The changes are a JSON merge patch (RFC 7396), so nothing stands twice. The
// slice is the caller's own.
func Document() []byte {
	text := new(bytes.Buffer)
	e := json.NewEncoder(text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(merge(read(api.Document()), read(changes))); err != nil {
		panic(err) // of what was JSON
	}
	return text.Bytes()
}

// read is a JSON text of ours.
func read(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // which stay as they are written
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// merge is target with patch applied: RFC 7396 §2. Both are used up.
func merge(target, patch any) any {
	members, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, ok := target.(map[string]any)
	if !ok {
		merged = map[string]any{}
	}
	for name, value := range members {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = merge(merged[name], value)
		}
	}
	return merged
}
