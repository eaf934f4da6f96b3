package derive_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/workshop/derive"
)

const counter = `// Package counter counts.
package counter

import (
	"fmt"
	"sync/atomic"
)

// Counter counts.
type Counter struct {
	name string
	//workshop:begin
	//workshop:todo What does it need to remember?
	n atomic.Int64
	//workshop:end
}

// Next counts one up.
func (c *Counter) Next() int64 {
	//workshop:begin c.name = ""; return -1
	//workshop:todo Count, whoever calls at once.
	return c.n.Add(step)
	//workshop:end
}

// step is how far.
//
//workshop:omit
const step = 1

// String is for people.
func (c *Counter) String() string { return fmt.Sprint(c.name) }
`

func TestStarter(t *testing.T) {
	got, err := derive.Starter("counter", "counter.go", []byte(counter))
	require.NoError(t, err)
	assert.Equal(t, `// Package counter counts.
package counter

import (
	"fmt"
)

// Counter counts.
type Counter struct {
	name string
	// TODO(counter): What does it need to remember?
	// The reference imports, besides what stands above: "sync/atomic".
}

// Next counts one up.
func (c *Counter) Next() int64 {
	// TODO(counter): Count, whoever calls at once.
	c.name = ""
	return -1
}

// String is for people.
func (c *Counter) String() string { return fmt.Sprint(c.name) }
`, string(got))
}

func TestReference(t *testing.T) {
	got, err := derive.Reference("counter.go", []byte(counter))
	require.NoError(t, err)
	assert.NotContains(t, string(got), "workshop:")
	assert.Contains(t, string(got), "// step is how far.\nconst step = 1\n")
	assert.Contains(t, string(got), "\tname string\n\tn    atomic.Int64\n")
}

func TestStarterRefusesBrokenDirectives(t *testing.T) {
	for text, want := range map[string]string{
		"//workshop:begin\n//workshop:todo x\n//workshop:begin\n": "f.go:5: //workshop:begin stands inside a region",
		"//workshop:end\n":                   "f.go:3: //workshop:end closes nothing",
		"//workshop:todo x\n":                "f.go:3: //workshop:todo stands outside of a region",
		"//workshop:begin\n":                 "f.go:3: //workshop:begin is never closed",
		"//workshop:begin\n//workshop:end\n": "f.go:4: //workshop:end closes a region that tells the learner nothing",
		"//workshop:begn return nil\n":       "f.go:3: //workshop:begn is unknown",
	} {
		_, err := derive.Starter("f", "f.go", []byte("package f\n\n"+text))
		assert.ErrorContains(t, err, want)
	}
	same := "package f\n\nconst s = \"//workshop:begin\" //workshop:begin is no directive behind code\n"
	got, err := derive.Starter("f", "f.go", []byte(same))
	require.NoError(t, err)
	assert.Equal(t, same, string(got))
}

func TestMistake(t *testing.T) {
	text := `//go:build ignore

// It counts in steps of two,
// which is one too many.
//
//workshop:caught-by TestNext/counts
//workshop:says one by one
package counter

func (c Counter) Next() int64 { return c.n.Add(other) }

const other = 2
`
	m, err := derive.ParseMistake("mistakes/counter/two.go", []byte(text))
	require.NoError(t, err)
	assert.Equal(t, "two", m.Name)
	assert.Equal(t, "It counts in steps of two, which is one too many.", m.Why)
	assert.Equal(t, "TestNext/counts", m.CaughtBy)
	assert.True(t, m.In("     it counts one\n        \tby one: rule"), "where a line is broken does not matter")
	assert.False(t, m.In("it counts"))

	files, err := m.Apply(map[string][]byte{"counter.go": []byte(counter)})
	require.NoError(t, err)
	assert.NotContains(t, string(files["counter.go"]), "func (c *Counter) Next", "a method is replaced, with or without a pointer")
	assert.Contains(t, string(files["counter.go"]), "func (c *Counter) String")
	assert.Contains(t, string(files["mistake_two_.go"]), "func (c Counter) Next() int64")
	assert.NotContains(t, string(files["mistake_two_.go"]), "go:build")

	_, err = derive.ParseMistake("m.go", []byte("package counter\n"))
	assert.ErrorContains(t, err, "the first line must be //go:build ignore")
	nothing, err := derive.ParseMistake("m.go", []byte("//go:build ignore\n\n// It is lost.\n//\n//workshop:caught-by T\n//workshop:says x\npackage counter\n\nfunc lost() {}\n"))
	require.NoError(t, err)
	_, err = nothing.Apply(map[string][]byte{"counter.go": []byte(counter)})
	assert.ErrorContains(t, err, "it replaces nothing")
}
