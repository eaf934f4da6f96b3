package client

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"clicktocode.example/01-dns-tcp-tls/stage"
)

func TestHops(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		want   []stage.Hop
	}{
		{"none", nil, []stage.Hop{}},
		{"empty", []string{"", " , ,"}, []stage.Hop{}},
		{"one", []string{"shop;dur=0.12"}, []stage.Hop{{Name: "shop", US: 120}}},
		{"several_in_one_field", []string{`app;dur=12.5, edge;dur=20`}, []stage.Hop{{Name: "app", US: 12500}, {Name: "edge", US: 20000}}},
		{"several_fields", []string{"app;dur=1", "edge;dur=2"}, []stage.Hop{{Name: "app", US: 1000}, {Name: "edge", US: 2000}}},
		{"no_duration", []string{"miss"}, []stage.Hop{{Name: "miss"}}},
		{"a_description", []string{"cache;desc=hit;dur=3"}, []stage.Hop{{Name: "cache", US: 3000, Detail: "hit"}}},
		{"a_quoted_description", []string{`db;desc="orders, by; \"customer\"";dur=3, app`}, []stage.Hop{{Name: "db", US: 3000, Detail: `orders, by; "customer"`}, {Name: "app"}}},
		{"spaces_around", []string{"\tapp ; DUR = 1.5 ; desc\t=\thit , edge"}, []stage.Hop{{Name: "app", US: 1500, Detail: "hit"}, {Name: "edge"}}},
		{"the_first_of_two_counts", []string{"app;dur=1;dur=2"}, []stage.Hop{{Name: "app", US: 1000}}},
		{"unknown_parameters", []string{"app;flag;x=y;dur=1"}, []stage.Hop{{Name: "app", US: 1000}}},
		{"durations_that_make_no_sense", []string{"a;dur=x, b;dur=-1, c;dur=NaN, d;dur=+Inf, e;dur=1e300, f;dur="}, []stage.Hop{
			{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "f"},
		}},
		{"names_that_are_no_tokens", []string{`"app";dur=1, a b;dur=1, ok;dur=1`}, []stage.Hop{{Name: "ok", US: 1000}}},
		{"an_open_quote", []string{`app;desc="never ends, b;dur=1`}, []stage.Hop{{Name: "app", Detail: "never ends, b;dur=1"}}},
		{"an_escape_at_the_end", []string{`app;desc="x\`}, []stage.Hop{{Name: "app", Detail: "x"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, hops(tt.fields), "%q", tt.fields)
		})
	}
	assert.Len(t, hops([]string{strings.Repeat("a,", 10*maxHops)}), maxHops, "a sender cannot make it endless")
}

func FuzzHops(f *testing.F) {
	f.Add(`app;dur=1;desc="a\"b", edge;dur=2`)
	f.Fuzz(func(t *testing.T, field string) {
		for _, hop := range hops([]string{field}) {
			assert.NotEmpty(t, hop.Name)
			assert.GreaterOrEqual(t, hop.US, int64(0))
		}
	})
}
