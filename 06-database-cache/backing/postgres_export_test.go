package backing

import "time"

// WithInitdbGrace returns c for a test of an initdb that hangs.
func (c PostgresConfig) WithInitdbGrace(d time.Duration) PostgresConfig {
	c.initdbGrace = d
	return c
}

// WithPatience returns c for a test of an address that stays taken.
func (c PostgresConfig) WithPatience(d time.Duration) PostgresConfig {
	c.patience = d
	return c
}
