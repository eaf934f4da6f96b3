//go:build ignore

// It makes one check after the other. The first one hangs, uses up the time of all, and
// the answer names everything that stands behind it, which is well.
//
//workshop:caught-by TestReady/names_the_one_that_hangs_and_no_other
//workshop:says side by side
package readiness

import "context"

func (h *Health) look(ctx context.Context) (own, shared []string) {
	failed := func(checks []Check) (names []string) {
		for _, check := range checks {
			if check.Do(ctx) != nil {
				names = append(names, check.Name)
			}
		}
		return names
	}
	return failed(h.c.Own), failed(h.c.Shared)
}
