package ordering

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"clicktocode.example/05-business-logic/order"
)

// Confirmation is the mail to the address to that says that o was paid. Its Key is the
// order's own, so a provider that looks at it sends one, however often it is told.
func Confirmation(o order.Order, to string) order.Mail {
	var b strings.Builder
	fmt.Fprintf(&b, "Thank you for your order %s.\n\n", o.ID)
	for _, l := range o.Lines {
		fmt.Fprintf(&b, "%4d × %s, %s\n", l.Quantity, l.Name, amount(l.Total))
	}
	fmt.Fprintf(&b, "\nSubtotal %s\n", amount(o.Totals.Subtotal))
	if o.Totals.Discount.Amount > 0 {
		fmt.Fprintf(&b, "Discount %s\n", amount(o.Totals.Discount))
	}
	fmt.Fprintf(&b, "Tax %s\nTotal %s, which you have paid.\n", amount(o.Totals.Tax), amount(o.Totals.Total))
	return order.Mail{Key: "confirmation-" + o.ID, To: to, Subject: "Your order " + o.ID, Text: b.String()}
}

// amount is m for customers, as in 12.50 EUR: with two decimals, which the currency of
// this restaurant has.
func amount(m order.Money) string {
	return fmt.Sprintf("%d.%02d %s", m.Amount/100, m.Amount%100, m.Currency)
}

// mailAttempts is how often a mail is handed in that could not be sent. The wait before
// another attempt is mailWait, and double the next time.
const (
	mailAttempts = 3
	mailWait     = time.Second
)

// post sends mails, one after the other.
type post struct {
	c     Config
	queue chan order.Order
	ctx   context.Context // ends what is under way
	stop  context.CancelFunc
	done  chan struct{} // closed when all is sent, or given up

	mu     sync.Mutex
	closed bool // nothing goes into queue any more; guarded by mu
	lost   int  // guarded by mu
}

func newPost(c Config, places int) *post {
	p := &post{c: c, queue: make(chan order.Order, places), done: make(chan struct{})}
	p.ctx, p.stop = context.WithCancel(context.Background())
	go func() {
		defer close(p.done)
		for o := range p.queue {
			if err := p.send(o); err != nil {
				p.drop(o, err)
			}
		}
	}()
	return p
}

// confirm has a mail sent that says that o was paid. It waits for nothing.
func (s *Service) confirm(o order.Order) {
	if s.post == nil {
		return
	}
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	if s.post.closed {
		s.c.Log.Error("ordering: a mail is not sent: closed", "order", o.ID)
		return
	}
	select {
	case s.post.queue <- o:
	default:
		s.c.Log.Error("ordering: a mail is not sent: too many wait", "order", o.ID)
	}
}

func (p *post) drop(o order.Order, err error) {
	p.c.Log.Error("ordering: a mail is not sent", "order", o.ID, "err", err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost++
}

func (p *post) send(o order.Order) error {
	to := p.c.Recipient(o.Customer)
	if to == "" {
		return nil
	}
	mail, wait := Confirmation(o, to), mailWait
	for n := 1; ; n++ {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		err := p.c.Mailer.Send(ctx, mail)
		cancel()
		if n >= mailAttempts || p.ctx.Err() != nil || !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrUnknown) {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-p.ctx.Done():
			t.Stop()
			return err
		}
		wait *= 2
	}
}

// close sends what waits, until ctx is done, and returns how many it did not.
func (p *post) close(ctx context.Context) (lost int) {
	p.mu.Lock()
	p.closed = true
	close(p.queue)
	before := p.lost
	p.mu.Unlock()
	defer context.AfterFunc(ctx, p.stop)()
	<-p.done
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost - before
}
