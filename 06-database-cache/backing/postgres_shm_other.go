//go:build !linux && (!darwin || ios)

package backing

// leftMemory: Windows frees what nobody uses.
func leftMemory(string) (remove func()) { return func() {} }
