package backing

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/lib/pq"
)

// ask runs a statement over a connection of its own, and returns the first column
// of its first row as text: "" if there is none.
func ask(ctx context.Context, url, statement string) (text string, err error) {
	connector, err := pq.NewConnector(url)
	if err != nil {
		return "", err
	}
	d := &dialer{ctx: ctx}
	connector.Dialer(d)
	defer d.stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	conn, err := connector.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, statement, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err == io.EOF {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if octets, ok := row[0].([]byte); ok {
		return string(octets), nil
	}
	return fmt.Sprint(row[0]), nil
}

// dialer hangs up when its context ends. Without it a server that accepts and says
// nothing is waited for without an end: pq heeds the context while it dials, and
// then not before the handshake is done. It serves one goroutine.
type dialer struct {
	ctx   context.Context
	stops []func() bool
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		d.stops = append(d.stops, context.AfterFunc(d.ctx, func() { conn.Close() }))
	}
	return conn, err
}

func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(d.ctx, network, address)
}

func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d *dialer) stop() {
	for _, stop := range d.stops {
		stop()
	}
}

// starting reports whether err is what is met while a server starts.
func starting(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code == "57P03" // cannot_connect_now
	}
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, driver.ErrBadConn)
}
