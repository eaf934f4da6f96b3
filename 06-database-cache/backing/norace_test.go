//go:build !race

package backing_test

const raced = false
