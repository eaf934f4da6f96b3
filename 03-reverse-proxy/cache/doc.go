// Package cache is the HTTP cache of the edge, put together from its parts: a
// handler that stands before another one, answers what it can from memory, and
// asks the other one for the rest.
//
//	request → key → find a variant (storable.Key) → still fresh? (freshness) ──yes──→ answer
//	                       │ none                        │ stale
//	                       ↓                             ↓
//	          one fetch for all (collapse) ←── ask by its validators (revalidate.Ask)
//	                       ↓
//	                 next handler → may it be kept? (storable.May) → store → answer
//	                                or was it confirmed? (revalidate.Freshen)
//
// It is a shared cache by RFC 9111: what it keeps it hands to strangers, so in
// doubt it keeps nothing. Its place is before the handler that compresses, so
// that each coding is made once, and behind the one that routes.
//
// # What it does
//
//   - One fetch for all who miss the same at once. They read the answer while it
//     arrives. Where it turns out to be for one alone, the others ask side by
//     side, and for ten seconds nobody waits for such an answer again.
//   - Codings are chosen before the key is made: however a browser writes its
//     Accept-Encoding, a resource has at most one variant for each coding.
//   - stale-while-revalidate and stale-if-error (RFC 5861). As RFC 9111 §5.2.2.10
//     has it, s-maxage, must-revalidate and proxy-revalidate forbid both: origins
//     that want them say max-age, or write to CDN-Cache-Control (RFC 9213).
//   - Conditions, ranges and HEAD are answered from what is stored.
//   - POST, PUT, DELETE and unknown methods take away what is stored of their URL,
//     and of those in Location and Content-Location if they are of the same
//     origin. A fetch that began before that is not stored.
//   - Memory is bounded by octets, by Config.MaxBytes.
//
// # Whose answer is it
//
// storable.May decides, and two things are stricter here. Set-Cookie goes to the
// one who asked, and never into the store: where the origin allows to keep such
// an answer, the others get it without. And whoever asks with Authorization
// waits for nobody, and nobody waits for them.
//
// # What is left out
//
// Parts of content: a 206 passes and is not stored. A Range for what is not
// stored passes, too, and fills no cache: to fetch all for a few octets is an
// invitation to make the origin work (RangeAmp). A HEAD neither fills nor
// refreshes. Freshening by HEAD (RFC 9111 §4.3.5), purging, and a second level
// on disk are not here either.
//
// Source: RFC 9111, as a shared cache; RFC 5861; RFC 9211 (Cache-Status); Zhang
// et al., "SIEVE is Simpler than LRU" (NSDI 2024).
package cache
