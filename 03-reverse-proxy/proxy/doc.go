// Package proxy is the reverse proxy itself: what happens to a request between
// the listener and the backends, apart from the cache and compression. It has
// three http.Handlers, in this order:
//
//	Limits   refuses what is too much: too many fields, too large a body
//	Router   finds the handler for a host and a path, which it cleans first
//	Forward  sends the request on, and brings back the answer
//
// Limits come first, because they are cheap and protect all the rest. The Router
// cleans the path before anyone decides by it, and what it decided by is what the
// backend gets. Forward comes last: behind it is the load balancer.
//
// In the story, this is the gatekeeper. He looks at the order, knows which way to
// send it, notes who brought it, and lets nothing through that was meant for him
// alone.
//
// Source: RFC 9110 §7.6 (message forwarding), §7.8 (Upgrade), §15.2 (1xx);
// RFC 3986 §5.2.4 and §6.2.2 (paths); net/http/httputil's ReverseProxy, and what
// people report about it: each fault that this package avoids is a test with its
// number.
package proxy
