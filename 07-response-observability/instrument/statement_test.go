package instrument

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStatement(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT id, name FROM dishes ORDER BY position`:                                           "SELECT dishes",
		"\n\tselect extract(epoch FROM now() - created), (SELECT 1 FROM b) from a":                "SELECT b",
		`SELECT pg_advisory_lock($1)`:                                                             "SELECT",
		`SELECT 1 FROM unnest($1::text[]) AS u JOIN orders ON true`:                               "SELECT",
		`SELECT stock FROM dishes WHERE id = ANY($1) ORDER BY id FOR UPDATE`:                      "SELECT dishes",
		`INSERT INTO orders (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = $1`:              "INSERT orders",
		`INSERT INTO order_lines SELECT * FROM unnest($1)`:                                        "INSERT order_lines",
		`UPDATE outbox SET due = now() WHERE id = (SELECT id FROM outbox FOR UPDATE SKIP LOCKED)`: "UPDATE outbox",
		"\nWITH old AS (\n\tSELECT id FROM orders WHERE id = $1 FOR UPDATE\n), o AS (\n\tUPDATE orders SET state = $3 FROM old RETURNING *) SELECT * FROM o": "UPDATE orders",
		`WITH page AS (SELECT * FROM orders) SELECT * FROM page`: "SELECT orders",
		`DELETE FROM ONLY "reserved_items" WHERE order_id = $1`:  "DELETE reserved_items",
		`CREATE TABLE a (b int REFERENCES c ON DELETE CASCADE)`:  "CREATE",
		`SET statement_timeout = 100`:                            "SET",
		`-- nothing`:                                             "SQL",
		``:                                                       "SQL",
	} {
		assert.Equal(t, want, statement(query), "%s", query)
	}
}

func TestNamesAreBounded(t *testing.T) {
	var known names
	for i := range 2000 {
		assert.Equal(t, "SELECT orders", known.of(fmt.Sprintf("SELECT %d FROM orders", i)))
	}
	n := 0
	known.known.Range(func(any, any) bool { n++; return true })
	assert.Equal(t, 1000, n)
}
