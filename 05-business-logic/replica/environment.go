package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/05-business-logic/api"
)

// Environment is what chapter 5 adds to the stack that d and run describe. It reads
// what replicas are told by the environment, beyond c, and adds the stand-ins' roles.
// With a key of Stripe's or SendGrid's in the environment, the real one takes a
// stand-in's place. The stand-in for Stripe sends its events to the replica at to.
//
// Each role that needs it calls open for its Config, with its own log. An error there
// says what in the environment is wrong.
func Environment(d *stage.Description, run map[string]stage.Run, to string, c Config) (open func(*slog.Logger) (Config, error)) {
	secret := func(name, what string) string {
		d.Env[name] = what // what it is stays out of this
		return stage.Env(name, "")
	}
	read := func(name, fallback, what string) string {
		value := stage.Env(name, fallback)
		d.Env[name] = what + ": " + value
		return value
	}
	proxies := read("TRUSTED_PROXIES", "127.0.0.1/32", "whose X-Forwarded-For the replica believes, as prefixes with commas between")
	c.Origins = List(read("CORS_ORIGINS", "", "other origins whose scripts may use the replica, with commas between"))
	limit := read("RATE_LIMIT", fmt.Sprint(api.PerSecond), "how many requests a second a client may make of a replica, and twice as many at once; 0 is no limit")
	c.Development = read("GIN_MODE", "release", "release, or debug, with which gin prints its routes") == "debug"

	at := read("PAYMENTS_ADDR", "127.0.0.1:9201", "where payments listens")
	c.WebhookSecret = secret("STRIPE_WEBHOOK_SECRET", "what Stripe signs events with, as in whsec_…; where it is empty, one is made for the stand-in")
	c.Stripe.DangerouslyUseLiveKey = read("DANGEROUSLY_CHARGE_REAL_CARDS", "no", "yes lets STRIPE_SECRET_KEY be as in sk_live_…, by which money moves") == "yes"
	if c.Stripe.Key = secret("STRIPE_SECRET_KEY", "a key as in sk_test_…, to use Stripe in place of the stand-in"); c.Stripe.Key == "" {
		c.Stripe.Key, c.Stripe.URL = StripeKey, "http://"+at
		d.Roles = append(d.Roles, stage.Role{Name: "payments", What: "a stand-in for Stripe", Addr: at})
		run["payments"] = Payments(at, to, c.WebhookSecret)
	}

	at = read("MAIL_ADDR", "127.0.0.1:9202", "where mail listens")
	c.Mail.From = read("MAIL_FROM", "The shop <orders@shop.test>", "who sends mail; SendGrid must have verified the address")
	if inbox := read("MAIL_TO", "", "who gets the mail of all customers; needed with a SENDGRID_API_KEY"); inbox != "" {
		c.Recipient = func(string) string { return inbox }
	}
	if c.Mail.Key = secret("SENDGRID_API_KEY", "a key as in SG.…, to use SendGrid in place of the stand-in"); c.Mail.Key == "" {
		c.Mail.Key, c.Mail.Host = SendGridKey, "http://"+at
		d.Roles = append(d.Roles, stage.Role{Name: "mail", What: "a stand-in for SendGrid", Addr: at})
		run["mail"] = Mail(at)
	}

	return func(log *slog.Logger) (_ Config, err error) {
		c := c
		c.Log = log
		if c.Key, err = issuer.Open(""); err == nil {
			c.TrustedProxies, err = Prefixes(proxies)
		}
		if err == nil && c.RateLimit.Rate == 0 && c.RateLimit.Burst == 0 {
			c.RateLimit.Rate, c.RateLimit.Burst, err = Limit(limit)
		}
		switch {
		case err != nil:
			return Config{}, err
		case strings.Contains(c.Stripe.Key, "_live_") && !c.Stripe.DangerouslyUseLiveKey:
			return Config{}, errors.New("STRIPE_SECRET_KEY is a live key, by which money moves: take one as in sk_test_…, or set DANGEROUSLY_CHARGE_REAL_CARDS=yes")
		case c.Mail.Key != SendGridKey && c.Recipient == nil:
			return Config{}, errors.New("SENDGRID_API_KEY is set, and nobody here knows customers' addresses: set MAIL_TO to your own")
		}
		return c, nil
	}
}
