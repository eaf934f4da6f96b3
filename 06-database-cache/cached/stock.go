package cached

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"clicktocode.example/05-business-logic/order"
)

// leftTime is how long Stock asks what is left. A menu without numbers still sells.
const leftTime = 500 * time.Millisecond

// Stock returns stock, with a Left for who shows it: what it says is up to age old, and
// was asked once for all who wanted to know in this process. age 0 means 1 s. A failure is
// for those who wait for it, and not remembered. Reserve, which decides, and Release are
// stock's own.
//
// It keeps the numbers itself. They are small, everybody wants the same ones, and they are
// old in a moment: memcached would be asked more often than the database is now.
func Stock(stock order.Stock, age time.Duration) order.Stock {
	return &glance{Stock: stock, age: cmp.Or(age, time.Second)}
}

type glance struct {
	order.Stock
	age    time.Duration
	flight singleflight.Group

	mu    sync.Mutex     // guards what follows
	left  map[string]int // nobody changes it
	until time.Time      // when it is too old
}

// Left implements order.Stock, but for its age.
func (g *glance) Left(ctx context.Context) (map[string]int, error) {
	if left := g.known(); left != nil {
		return maps.Clone(left), nil
	}
	// In the goroutine of one of those who ask: there is none to be ended. It goes on for
	// the others when its own client has left, and not for long.
	v, err, _ := g.flight.Do("", func() (any, error) {
		if left := g.known(); left != nil { // since a moment ago
			return left, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leftTime)
		defer cancel()
		asked := time.Now()
		left, err := g.Stock.Left(ctx)
		if err == nil {
			g.mu.Lock()
			g.left, g.until = left, asked.Add(g.age)
			g.mu.Unlock()
		}
		return left, err
	})
	if err != nil {
		return nil, err
	}
	return maps.Clone(v.(map[string]int)), nil
}

// known is what is left, as long as it is not too old; otherwise nil.
func (g *glance) known() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().Before(g.until) {
		return g.left
	}
	return nil
}
