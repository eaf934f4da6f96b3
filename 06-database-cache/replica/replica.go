// Package replica is what a replica of chapter 6 is: chapter 5's, whose menu, stock
// and orders are in PostgreSQL now, with memcached beside it. Of these, there are
// three, and it does not matter which one is asked.
//
//	05 replica ─► cached ─► memcached      the menu, and orders that are shown
//	              └► store ─► dbpool ─► PostgreSQL      all of it
//
// Here are also the roles that own PostgreSQL and memcached, for as long as the stack
// runs: each is a process of its own, so a replica may be killed, and they go on.
//
// When PostgreSQL is away, orders are 503, and the menu is shown: by memcached for
// half a minute, and by the edges for ten. When memcached is away, all is as before,
// a little slower. Either way the replica stays, and is well again by itself.
package replica

import (
	"context"
	"errors"
	"net/http"

	kitchen "clicktocode.example/05-business-logic/replica"
)

// Replica is an http.Handler. Make one with New, and Close it.
type Replica struct {
	http.Handler
	kitchen *kitchen.Replica
	pantry  *Pantry
}

// New opens the pantry, as Open does, and returns a Replica of chapter 5's over it.
// Of k, Ports and Show are set here, and Stock is not looked at: that is c's.
func New(ctx context.Context, c Config, k kitchen.Config) (*Replica, error) {
	pantry, err := Open(ctx, c)
	if err != nil {
		return nil, err
	}
	k.Ports = pantry.Ports()
	k.Show = pantry.Cache.Show
	r := &Replica{pantry: pantry}
	if r.kitchen, err = kitchen.New(k); err != nil {
		return nil, errors.Join(err, pantry.Close())
	}
	r.Handler = r.kitchen
	return r, nil
}

// Pantry is what the replica keeps its orders in. Close closes it.
func (r *Replica) Pantry() *Pantry { return r.pantry }

// Close ends all that New has started, and waits for it: first chapter 5's part, until
// ctx is done, since it needs the pantry to finish what is open; then the pantry.
// Nothing may be asked of the Replica meanwhile, and afterwards.
func (r *Replica) Close(ctx context.Context) error {
	return errors.Join(r.kitchen.Close(ctx), r.pantry.Close())
}
