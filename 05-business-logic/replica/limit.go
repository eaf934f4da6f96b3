package replica

import (
	"fmt"
	"math"
	"strconv"

	"golang.org/x/time/rate"
)

// maxLimit is what Limit takes at most: from there on, it is 0 that is meant.
const maxLimit = 1_000_000

// Limit is what text says: how many requests a second a client may make, as in 20 or
// 0.5, and how many at once: twice that, and 1 at least. 0 is no limit. Its error is
// about RATE_LIMIT, where such a number comes from.
func Limit(text string) (perSecond rate.Limit, burst int, err error) {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || !(n >= 0 && n <= maxLimit): // NaN included
		return 0, 0, fmt.Errorf("RATE_LIMIT: %q: write how many requests a second a client may make, as 20 or 0.5, up to %d; 0 is no limit", text, maxLimit)
	case n == 0:
		return rate.Inf, 1, nil
	}
	return rate.Limit(n), max(1, int(math.Ceil(2*n))), nil
}
