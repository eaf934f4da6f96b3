package replica

import (
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

// Try are things to do with the stack that d describes, in a shell.
func Try(d stage.Description) []stage.Try {
	site := strings.TrimSuffix(d.URL, "/menu")
	order := func(what, key, method string) stage.Try {
		return stage.Try{What: what, Command: fmt.Sprintf(`curl -i --cacert .workshop/ca.pem --resolve %s:127.0.0.1 %s/orders -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: %s" -H "Content-Type: application/json" -d '{"lines": [{"dish": "ramen", "quantity": 2}]%s}'`,
			strings.TrimPrefix(site, "https://"), site, key, method)}
	}
	try := []stage.Try{
		{What: "the menu, with what is left of each dish", Command: "go run ./workshop click " + site + "/menu"},
		{What: "a token of ada's, for an hour", Command: `TOKEN=$(go run ./05-business-logic -token ada -scope "orders:read orders:write")`},
		order("her dinner; send it again, and it is the same one", "dinner-1", ""),
		order("a card that is declined", "dinner-2", `, "payment_method": "pm_card_chargeDeclined"`),
	}
	for _, r := range d.Roles {
		switch r.Name {
		case "payments":
			try = append(try,
				order("a bank that takes its time: 202, and two seconds later it is paid", "dinner-3", `, "payment_method": "pm_standin_later"`),
				stage.Try{What: "what the stand-in for Stripe has in its books", Command: fmt.Sprintf("curl -u %s: 'http://%s/v1/payment_intents?limit=3'", StripeKey, r.Addr)})
		case "mail":
			try = append(try, stage.Try{What: "the mail that was sent", Command: "curl http://" + r.Addr + "/mailbox"})
		}
	}
	return try
}
