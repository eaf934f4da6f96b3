//go:build ignore

// It bounds how many connections there are, and not how many are kept: the default
// is 2. Of ten that come back after a busy moment, eight are closed, and the next
// moment opens eight again, at a process of the server and three trips each.
//
//workshop:caught-by TestOpen/keeps_connections_for_those_who_come_next
//workshop:says Without SetMaxIdleConns, a pool keeps 2
package dbpool

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

func Open(databaseURL string, c Config) (*sqlx.DB, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	config, err := pq.NewConfig(databaseURL)
	if err != nil {
		if bad := (*url.Error)(nil); errors.As(err, &bad) {
			err = bad.Err
		}
		return nil, fmt.Errorf("dbpool: the database's URL: %w", err)
	}
	config.BinaryParameters = true
	if config.ApplicationName == "" {
		config.ApplicationName = c.Application
	}
	config.ConnectTimeout = c.ConnectTimeout
	limit(&config, "statement_timeout", c.StatementTimeout)
	limit(&config, "lock_timeout", c.LockTimeout)
	limit(&config, "idle_in_transaction_session_timeout", c.IdleInTransaction)
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("dbpool: %w", err)
	}
	db := sqlx.NewDb(c.OpenDB(connector), "postgres")
	db.SetMaxOpenConns(c.MaxOpen)
	db.SetConnMaxLifetime(c.Lifetime)
	db.SetConnMaxIdleTime(c.IdleTime)
	return db, nil
}
