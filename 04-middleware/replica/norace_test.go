//go:build !race

package replica_test

func raceEnabled() bool { return false }
