package replica

import (
	"fmt"
	"strings"

	"clicktocode.example/01-dns-tcp-tls/stage"
	"clicktocode.example/06-database-cache/backing"
	"clicktocode.example/06-database-cache/kv"
)

// Try are things to do with the stack that d describes, in a shell of Unix's, from the
// clone's folder. program is the chapter's, as in "06-database-cache".
func (s *Surroundings) Try(d stage.Description, program string) []stage.Try {
	site := strings.TrimSuffix(d.URL, "/menu")
	curl := fmt.Sprintf(`curl -i --cacert .workshop/ca.pem --resolve %s:127.0.0.1 -H "Authorization: Bearer $TOKEN" %s/orders`, strings.TrimPrefix(site, "https://"), site)
	try := []stage.Try{
		{What: "the menu twice: from a replica, then from the edge", Command: "go run ./workshop click -n 2"},
		{What: "a token of ada's, for an hour", Command: `TOKEN=$(go run ./` + program + ` -token ada -scope "orders:read orders:write")`},
		{What: "her dinner; send it again, and it is the same one, whichever replica it comes to", Command: curl +
			` -H "Idempotency-Key: dinner-1" -H "Content-Type: application/json" -d '{"lines": [{"dish": "ramen", "quantity": 2}]}'`},
		{What: "her orders; the field Server-Timing says which replica has answered, a, b or c", Command: curl},
	}
	if s.Missing != nil {
		return append(s.Banner(), try...)
	}
	try = append(try,
		stage.Try{What: "a replica dies, and comes back; look at her orders again", Command: kill("b")},
		stage.Try{What: "the orders where they are", Command: `psql "$(go run ./` + program + ` -database)" -c 'SELECT id, customer, state, total, created FROM orders ORDER BY created DESC LIMIT 5'`})
	if c := s.Config.Memcached; len(c.Servers) == 0 {
		try = append(try,
			stage.Try{What: "the menu in memcached, for 30 s after somebody has asked for it", Command: fmt.Sprintf(`printf 'get %s\r\nquit\r\n' | curl -s telnet://%s`, kv.Key("menu"), c.Addr)},
			stage.Try{What: "the cache dies, and comes back", Command: kill("memcached")})
	}
	if s.Config.Postgres.URL == "" {
		try = append(try, stage.Try{What: "the database dies, and comes back: order meanwhile, and show the menu", Command: kill("postgres")})
	}
	return try
}

// Banner is what comes first where there is no PostgreSQL; elsewhere it is nothing.
func (s *Surroundings) Banner() []stage.Try {
	if s.Missing == nil {
		return nil
	}
	return []stage.Try{{
		What:    "THERE IS NO POSTGRESQL HERE. So there is one replica, whose orders are in its memory, and end with it. Install PostgreSQL, and start again",
		Command: backing.InstallPostgres(),
	}}
}

// kill is a command that kills a role that `workshop up` runs.
func kill(role string) string { return `pkill -9 -f -- "-role ` + role + ` -events"` }
