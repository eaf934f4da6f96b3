//go:build ignore

// Its pool has no bound: database/sql opens a connection for each request that
// finds none free. A rush of a thousand customers asks the server for a thousand
// processes; it refuses at a hundred, and those who share it get none either.
//
//workshop:caught-by TestOpen/opens_no_more_than_its_bound
//workshop:says Without SetMaxOpenConns a pool has no bound
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
	if config.ConnectTimeout <= 0 {
		config.ConnectTimeout = c.ConnectTimeout
	}
	limit(&config, "statement_timeout", c.StatementTimeout)
	limit(&config, "lock_timeout", c.LockTimeout)
	limit(&config, "idle_in_transaction_session_timeout", c.IdleInTransaction)
	db := sqlx.NewDb(c.OpenDB(connector{config}), "postgres")
	db.SetMaxIdleConns(c.MaxIdle)
	db.SetConnMaxLifetime(c.Lifetime)
	db.SetConnMaxIdleTime(c.IdleTime)
	return db, nil
}
