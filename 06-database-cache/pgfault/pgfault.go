// Package pgfault says in the words of package order what a fault of PostgreSQL,
// of its driver, or of database/sql means to the caller of a port.
//
// It reads codes, never texts: a text is in the server's language (lc_messages),
// and another one in the next version. Source: PostgreSQL's manual, appendix A,
// "Error Codes".
package pgfault

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"clicktocode.example/05-business-logic/order"
)

// Of returns err, with which a call failed that changed nothing, as one of
// package order's, or as it is where none fits. It wraps err. The call was made in
// ctx. For a COMMIT whose answer did not come, it is the wrong one to ask.
//
//	err                                        wraps
//	nil                                        nothing: it is nil
//	one of package order's                     nothing more
//	any, and ctx is done                       ErrUnavailable, and ctx's error
//	no connection, or it broke                 ErrUnavailable
//	the server is full, stops, or gave up:     ErrUnavailable
//	  classes 08, 28, 3D, 40, 53, 55, 57, 58
//	text or a number that cannot be kept       ErrInvalid
//	  (22021, 22003)
//	another one, as a fault in the SQL         nothing more: a defect of ours
func Of(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case known(err):
		return err
	case ctx.Err() != nil: // the driver may call it a broken connection, or a statement that the user cancelled
		return fmt.Errorf("%w: %w: %w", order.ErrUnavailable, ctx.Err(), err)
	case unavailable(err):
		return fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	case pq.As(err, pqerror.CharacterNotInRepertoire, pqerror.NumericValueOutOfRange) != nil:
		return fmt.Errorf("%w: %w", &order.InvalidError{Field: "order", What: "holds a text or a number that cannot be kept"}, err)
	}
	return err
}

// known reports whether err says already what became of the call.
func known(err error) bool {
	for _, one := range []error{
		order.ErrNotFound, order.ErrExists, order.ErrConflict, order.ErrSoldOut, order.ErrDeclined,
		order.ErrUnknown, order.ErrUnavailable, order.ErrInvalid, order.ErrState,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// unavailable reports whether err is a fault of the connection, or of a server
// that has other troubles than this call.
func unavailable(err error) bool {
	if said := pq.As(err); said != nil {
		switch said.Code.Class() {
		case "08", // connection exceptions
			"28", "3D", // it lets us not in: the wrong password, no such database
			"40", // rolled back: serialization failure, deadlock
			"53", // out of connections, memory, or disk
			"55", // a lock was not to be had in time (lock_timeout)
			"57", // a statement was cancelled, or the server stops
			"58": // its own disk fails
			return true
		}
		return said.Code == pqerror.IdleInTransactionSessionTimeout
	}
	for _, one := range []error{driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, pq.ErrSSLNotSupported} {
		if errors.Is(err, one) {
			return true
		}
	}
	var network net.Error
	return errors.As(err, &network)
}
