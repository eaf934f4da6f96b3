package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

// deliveries is how often an event is sent at most.
const deliveries = 8

// atOnce is how many events are sent side by side.
const atOnce = 8

// emitLocked sends an event about object as it is now, in a goroutine of its own. So
// events may overtake each other, which Stripe's do, too.
func (s *Server) emitLocked(kind string, object any) {
	if s.c.WebhookURL == "" || len(s.c.Events) > 0 && !slices.Contains(s.c.Events, kind) {
		return
	}
	payload, err := json.Marshal(map[string]any{
		"id": id("evt"), "object": "event", "api_version": stripe.APIVersion, "created": s.c.Now().Unix(), "livemode": false,
		"pending_webhooks": 1, "request": nil, "type": kind, "data": map[string]any{"object": object},
	})
	if err != nil {
		return // what can be answered can be sent
	}
	s.goLocked(func() { s.deliver(payload) })
}

// deliver sends an event until it is taken, that is, until the answer is 2xx.
func (s *Server) deliver(payload []byte) {
	again := s.c.Again
	for range deliveries {
		if s.send(payload) == nil || !wait(s.ctx, again) {
			return
		}
		again *= 2
	}
}

// send sends an event once, signed anew.
func (s *Server) send(payload []byte) error {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.c.WebhookURL, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (stand-in)")
	req.Header.Set("Stripe-Signature", webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
		Payload: payload, Secret: s.c.WebhookSecret, Timestamp: time.Now(), // real time: whoever verifies it has no other
	}).Header)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	drain(resp)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("standin: webhook answered %d", resp.StatusCode)
	}
	return nil
}
