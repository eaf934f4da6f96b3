package pgfault_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/assert"

	"clicktocode.example/05-business-logic/order"
	"clicktocode.example/06-database-cache/pgfault"
)

func TestOf(t *testing.T) {
	said := func(code string) error {
		return fmt.Errorf("insert: %w", &pq.Error{Severity: "ERROR", Code: pqerror.Code(code)})
	}
	for name, c := range map[string]struct{ err, want error }{
		"deadlock":                {said("40P01"), order.ErrUnavailable},
		"statement_timeout":       {said("57014"), order.ErrUnavailable},
		"lock_timeout":            {said("55P03"), order.ErrUnavailable},
		"too_many_connections":    {said("53300"), order.ErrUnavailable},
		"wrong_password":          {said("28P01"), order.ErrUnavailable},
		"idle_in_transaction":     {said("25P03"), order.ErrUnavailable},
		"an_octet_0":              {said("22021"), order.ErrInvalid},
		"a_number_that_is_no_int": {said("22003"), order.ErrInvalid},
		"bad_connection":          {driver.ErrBadConn, order.ErrUnavailable},
		"connection_refused":      {&net.OpError{Op: "dial", Err: errors.New("refused")}, order.ErrUnavailable},
		"transaction_has_ended":   {sql.ErrTxDone, order.ErrUnavailable},
		"one_of_order's":          {fmt.Errorf("x: %w", order.ErrNotFound), order.ErrNotFound},
		"unknown_stays":           {fmt.Errorf("%w: %w", order.ErrUnknown, driver.ErrBadConn), order.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			got := pgfault.Of(t.Context(), c.err)
			assert.ErrorIs(t, got, c.want)
			assert.ErrorIs(t, got, c.err)
			if c.want != order.ErrUnavailable {
				assert.NotErrorIs(t, got, order.ErrUnavailable)
			}
		})
	}

	t.Run("a_fault_in_the_SQL_is_ours", func(t *testing.T) {
		for _, err := range []error{said("42P01"), said("23514"), errors.New("sql: Scan error")} {
			assert.Equal(t, err, pgfault.Of(t.Context(), err))
		}
		assert.NoError(t, pgfault.Of(t.Context(), nil))
	})

	t.Run("a_caller_who_left_is_told_so", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range []error{said("57014"), driver.ErrBadConn, errors.New("another")} {
			got := pgfault.Of(ctx, err)
			assert.ErrorIs(t, got, context.Canceled)
			assert.ErrorIs(t, got, order.ErrUnavailable)
		}
	})
}
