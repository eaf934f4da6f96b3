package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/05-business-logic/solution/webhook"
)

type events struct {
	verifier *webhook.Verifier
	settle   func(context.Context, webhook.Event) error
}

// receive answers POST /webhooks/stripe. Nobody shows a token here: who may speak is
// who can sign. To Stripe, 2xx means that it is done, and anything else that the event
// is to come again later, for up to three days:
//
//	200  it is applied, now or when it came before
//	400  Stripe did not sign it, or not just now. Why, the log says
//	503  it cannot be applied, or remembered, at the moment
//
// An event that comes again while it is being applied is answered by 200 before that
// has ended. Stripe waits for an answer for longer than Timeout, so it does not send it.
func (e events) receive(c *gin.Context) {
	payload, err := io.ReadAll(c.Request.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return // validate answers
	case err != nil:
		refuse(c, fmt.Errorf("api: webhook: %w", err))
		return
	}
	event, err := e.verifier.Verify(payload, c.GetHeader("Stripe-Signature"))
	switch {
	case errors.Is(err, webhook.ErrReplayed):
		received(c)
		return
	case errors.Is(err, webhook.ErrFull):
		unavailable(c, err, "Too many events at a time. Send it again later.")
		return
	case err != nil:
		refuse(c, err)
		return
	}
	applied := false
	defer func() {
		if !applied { // also in a panic: otherwise, Stripe's next try would be taken for a replay, and the payment never noted
			e.verifier.Forget(event.ID)
		}
	}()
	if err := e.settle(c.Request.Context(), event); err != nil {
		unavailable(c, fmt.Errorf("api: event %.80q, %.80q: %w", event.ID, event.Type, err), "The event could not be applied. Send it again later.")
		return
	}
	applied = true
	received(c)
}

func received(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, gin.H{"received": true})
}

// refuse answers 400, in the same words whatever it is.
func refuse(c *gin.Context, err error) {
	_ = c.Error(err)
	problem.Abort(c, problem.Details{
		Type: problems + "event", Title: "Not an event of ours", Status: http.StatusBadRequest,
		Detail: "This is no event that Stripe has signed for us, just now. The endpoint's secret, or a clock, may be wrong.",
	})
}
