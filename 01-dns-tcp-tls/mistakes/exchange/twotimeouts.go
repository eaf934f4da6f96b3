//go:build ignore

// Each of the two ways has a Timeout of its own. A server that is slow by UDP
// and silent by TCP then keeps the caller for nearly twice as long: the attempt
// has one Timeout, so both ways share one context.
//
//workshop:caught-by TestExchange/has_one_Timeout_for_UDP_and_TCP
//workshop:says the attempt takes Timeout at most
package exchange

import (
	"context"
	"fmt"
	"net/netip"
)

func Exchange(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	reply, err := inTime(ctx, server, query, byUDP)
	if err == nil && reply[2]&flagTC != 0 {
		reply, err = inTime(ctx, server, query, byTCP)
	}
	if err != nil {
		return nil, fmt.Errorf("exchange: %s: %w", server, err)
	}
	return reply, nil
}

func inTime(ctx context.Context, server netip.AddrPort, query []byte, by func(context.Context, netip.AddrPort, []byte) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	reply, err := by(ctx, server, query)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return reply, err
}
