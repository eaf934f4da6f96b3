// Package budget keeps retries from making an outage worse: they may be a share
// of the requests, and no more.
//
// When backends fail because they have too much to do, each retry gives them
// more. Three attempts for each request are three times the load, at the very
// moment when one time was too much, and the backends do not come back before
// the retries stop. With a budget of 20 % the load is at most 1.2 times what the
// clients ask for. In the story, the waiter stops running from kitchen to
// kitchen when all of them are full.
//
// Source: the retry budgets of Finagle and Linkerd; "Addressing Cascading
// Failures" in Site Reliability Engineering (Beyer et al., 2016), chapter 22.
package budget

import (
	"fmt"
	"sync"
	"time"
)

// Window is the time over which requests and retries are weighed up.
const Window = slots * time.Second

const slots = 10 // of a second each

// Budget says whether there may be a retry. Its methods may be called by many
// goroutines at once. Make one with New.
type Budget struct {
	share, perSecond float64
	start            time.Time

	mu   sync.Mutex  // guards what follows
	past [slots]slot // second n is in slot n modulo slots
}

// slot is what happened within a second.
type slot struct {
	second            int64 // which one, counted from start
	requests, retries int
}

// New returns a budget that allows share (0.2 is 20 %) of the requests of the
// last [Window] as retries within that window, and perSecond retries a second
// beside, counted over the window, too. Without these, a service with few
// requests could never retry any. Neither may be negative; where both are zero,
// there are no retries.
func New(share, perSecond float64) (*Budget, error) {
	if !(share >= 0 && perSecond >= 0) { // NaN is neither
		return nil, fmt.Errorf("budget: share %v, %v a second: neither may be negative", share, perSecond)
	}
	return &Budget{share: share, perSecond: perSecond, start: time.Now()}, nil
}

// Request notes a request of a client. A retry is none.
func (b *Budget) Request() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nowLocked().requests++
}

// Retry reports whether there may be a retry now, and counts it if so.
func (b *Budget) Retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.nowLocked()
	requests, retries := 0, 0
	for _, s := range b.past {
		if now.second-s.second < slots {
			requests += s.requests
			retries += s.retries
		}
	}
	const rounding = 1e-9 // 0.2 five times is one retry
	if float64(retries+1) > b.share*float64(requests)+b.perSecond*Window.Seconds()+rounding {
		return false
	}
	now.retries++
	return true
}

// nowLocked is the slot of this second.
func (b *Budget) nowLocked() *slot {
	second := int64(time.Since(b.start) / time.Second)
	s := &b.past[second%slots]
	if s.second != second {
		*s = slot{second: second}
	}
	return s
}
