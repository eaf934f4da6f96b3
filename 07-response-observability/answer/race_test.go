//go:build race

package answer_test

func raceEnabled() bool { return true }
