//go:build ignore

// It sets no deadline of its own. A datagram that is lost is lost without a
// word, and a caller that sets no deadline either waits for ever.
//
//workshop:caught-by TestExchange/ends_without_any_deadline_of_the_caller
//workshop:says every wait needs an end
package exchange

import (
	"context"
	"fmt"
	"net/netip"
)

func Exchange(ctx context.Context, server netip.AddrPort, query []byte) ([]byte, error) {
	reply, err := byUDP(ctx, server, query)
	if err == nil && reply[2]&flagTC != 0 {
		reply, err = byTCP(ctx, server, query)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("exchange: %s: %w", server, err)
	}
	return reply, nil
}
