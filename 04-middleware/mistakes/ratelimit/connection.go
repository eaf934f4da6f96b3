//go:build ignore

// It takes the address of the connection. Behind a reverse proxy, that is the
// proxy's, for all: they share one bucket. Which fields may be believed, and
// from whom, is what c.ClientIP() knows.
//
//workshop:caught-by TestLimit/believes_a_trusted_proxy
//workshop:says all who come through the proxy were one client
package ratelimit

import (
	"net/netip"

	"github.com/gin-gonic/gin"
)

func clientIP(c *gin.Context) netip.Addr {
	addr, _ := netip.ParseAddr(c.RemoteIP())
	return addr
}
