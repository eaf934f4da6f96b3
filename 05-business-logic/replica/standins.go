package replica

import (
	"context"
	"fmt"

	"clicktocode.example/01-dns-tcp-tls/roles"
	"clicktocode.example/01-dns-tcp-tls/stage"
	mailbox "clicktocode.example/05-business-logic/sendgrid/standin"
	till "clicktocode.example/05-business-logic/stripe/standin"
)

// WebhookPath is where a replica takes Stripe's events.
const WebhookPath = "/webhooks/stripe"

// The keys that the stand-ins take.
const (
	StripeKey   = till.TestKey
	SendGridKey = mailbox.TestKey
)

// Payments is the role of the stand-in for Stripe: it serves at addr, and sends what
// happens to the replica at to, signed with secret: see Config.WebhookSecret.
func Payments(addr, to, secret string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) (err error) {
		if secret == "" {
			if secret, err = Secret(""); err != nil {
				return err
			}
		}
		server, err := till.New(till.Config{
			WebhookURL: "http://" + to + WebhookPath, WebhookSecret: secret,
			Events: []string{"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"},
		})
		if err != nil {
			return err
		}
		defer server.Close()
		defer context.AfterFunc(ctx, server.Close)() // whoever waits inside a handler need not wait any more
		return roles.ServeHTTP(ctx, s, addr, s.Observe(server))
	}
}

// Mail is the role of the stand-in for SendGrid. It serves at addr.
func Mail(addr string) stage.Run {
	return func(ctx context.Context, s *stage.Stage) error {
		server, err := mailbox.New(mailbox.Config{OnMail: func(m mailbox.Message) {
			s.Request(fmt.Sprintf("%q", m.Subject), 0, map[string]string{"to": fmt.Sprint(m.To)})
		}})
		if err != nil {
			return err
		}
		return roles.ServeHTTP(ctx, s, addr, s.Observe(server))
	}
}
