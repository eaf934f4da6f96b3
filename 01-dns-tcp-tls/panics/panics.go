// Package panics lets a test call code that may panic, and say in one line what
// happened and where. A panic that nobody recovers ends all tests of a package,
// and a stack trace is hard to read.
package panics

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// In calls f, and returns "" when f returned. When it panicked, In returns the
// panic's value as text and the line of the workshop that it came from: the
// innermost one that is in no test, as in "runtime error: index out of range
// [3] with length 3, at dnsname.go:42". Where there is none, the value is all.
//
// It does not see a panic in a goroutine that f started, nor a runtime.Goexit,
// such as t.FailNow's, which goes its way.
func In(f func()) (fault string) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Sprint(p) + where()
		}
	}()
	f()
	return ""
}

// where is the line that panicked. Its frames still stand below those of the
// deferred function that asks.
func where() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // from In's deferred function's caller on
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "clicktocode.example/") && !strings.HasSuffix(f.File, "_test.go") && !strings.HasSuffix(f.Function, "/panics.In") {
			return fmt.Sprintf(", at %s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}
