package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"clicktocode.example/05-business-logic/order"
)

// Mailer is an order.Mailer that keeps what it is to send. Make one with NewMailer.
type Mailer struct {
	mu   sync.Mutex      // guards what follows
	keys map[string]bool // of sent
	sent []order.Mail
}

// NewMailer returns a Mailer that has sent nothing yet.
func NewMailer() *Mailer { return &Mailer{keys: map[string]bool{}} }

// Send implements order.Mailer. A key that it has had before sends nothing.
func (m *Mailer) Send(ctx context.Context, mail order.Mail) error {
	if err := gone(ctx, "send"); err != nil {
		return err
	}
	if name, host, found := strings.Cut(mail.To, "@"); !found || name == "" || host == "" || strings.ContainsAny(mail.To, " \t\r\n") {
		return fmt.Errorf("memory: send: %w", &order.InvalidError{Field: "to", What: fmt.Sprintf("%q is no address", mail.To)})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if mail.Key != "" && m.keys[mail.Key] {
		return nil
	}
	m.keys[mail.Key] = true
	m.sent = append(m.sent, mail)
	return nil
}

// Sent is what was sent so far, in its order. The slice is the caller's own.
func (m *Mailer) Sent() []order.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sent)
}
