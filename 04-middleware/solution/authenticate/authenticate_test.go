package authenticate_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/problem"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/authenticate"
)

func TestBearer(t *testing.T) {
	t.Run("reads_the_token", func(t *testing.T) {
		token, sent := bearer(t, "Bearer eyJ.abc-_~+/.x=")
		require.True(t, sent, "Authorization: Bearer eyJ.abc-_~+/.x=\nA token was sent: it stands behind the scheme Bearer and a space (RFC 6750 §2.1)")
		assert.Equal(t, "eyJ.abc-_~+/.x=", token, "Authorization: Bearer eyJ.abc-_~+/.x=\nThe token is all that stands behind the scheme and the space")
	})

	t.Run("takes_the_scheme_in_any_case", func(t *testing.T) {
		for _, scheme := range []string{"bearer", "BEARER", "bEaReR"} {
			token, sent := bearer(t, scheme+" eyJ.a.b")
			require.True(t, sent, "Authorization: %s eyJ.a.b\nA token was sent: the name of a scheme is the same in upper and lower case (RFC 9110 §11.1)", scheme)
			assert.Equal(t, "eyJ.a.b", token, "Authorization: %s eyJ.a.b", scheme)
		}
	})

	t.Run("takes_several_spaces", func(t *testing.T) {
		token, _ := bearer(t, "Bearer   eyJ.a.b")
		assert.Equal(t, "eyJ.a.b", token, "Authorization: Bearer   eyJ.a.b\nOne or more spaces stand before the token, and none of them is part of it (RFC 6750 §2.1)")
	})

	t.Run("tells_that_none_was_sent", func(t *testing.T) {
		for _, fields := range [][]string{nil, {"Basic YWRhOnNlY3JldA=="}, {"Bearerish eyJ.a.b"}, {""}, {"eyJ.a.b"}} {
			_, sent := bearer(t, fields...)
			require.False(t, sent, "the fields Authorization: %q\nNo token was sent: that is so without the field, and with any scheme other than Bearer (RFC 6750 §3)", fields)
		}
		_, sent := bearer(t, "Bearer eyJ.a.b")
		assert.True(t, sent, "Authorization: Bearer eyJ.a.b\nHere one was sent")
	})

	t.Run("takes_a_scheme_alone_for_an_empty_token", func(t *testing.T) {
		for _, field := range []string{"Bearer", "bearer", "Bearer ", "Bearer   "} {
			token, sent := bearer(t, field)
			require.True(t, sent, "Authorization: %q\nThe scheme is there, and nothing behind it: a token was sent, and it is empty. Whoever sends that has lost one, and has to hear of it (401), also where a token is optional", field)
			require.Empty(t, token, "Authorization: %q\nThe token is empty", field)
		}
	})

	t.Run("cuts_nothing_off_behind", func(t *testing.T) {
		for _, field := range []string{"Bearer eyJ.a.b eyJ.c.d", "Bearer eyJ.a.b, Bearer eyJ.c.d", "Bearer eyJ.a.b\teyJ.c.d"} {
			token, sent := bearer(t, field)
			require.True(t, sent, "Authorization: %q\nThe scheme is Bearer, so a token was sent, if not a good one", field)
			for _, part := range []string{"eyJ.a.b", "eyJ.c.d"} {
				require.NotEqual(t, part, strings.Trim(token, ", \t"), "Authorization: %q\nTwo stand there, and one of them was chosen. All that stands behind the scheme is the token, and this is none (RFC 6750 §2.1: a b64token has no space): who stood before us may have taken the other one", field)
			}
		}
	})

	t.Run("chooses_none_of_several", func(t *testing.T) {
		for _, fields := range [][]string{
			{"Bearer eyJ.a.b", "Bearer eyJ.c.d"},
			{"Bearer eyJ.a.b", "Basic YWRhOnNlY3JldA=="},
			{"Basic YWRhOnNlY3JldA==", "Bearer eyJ.a.b"},
		} {
			token, sent := bearer(t, fields...)
			const why = "the fields Authorization: %q, two of them\nWho stood before us may have checked the one, and we would take the other. So none is chosen: an empty token, that was sent"
			require.Equal(t, "", token, why, fields)
			require.True(t, sent, why, fields)
		}
	})
}

func TestHandler(t *testing.T) {
	t.Run("notes_who_it_is", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(nil), "a good token, whose sub is ada")
		require.NotNil(t, d.who, "a good token, whose sub is ada: request.From says that nobody was authenticated. Note it in the request's context, by request.Note and request.WithPrincipal")
		assert.Equal(t, "ada", d.who.Subject, "the subject that was noted of a good token, whose sub is ada")
		for _, sub := range []string{"Ada", " ada", "https://login.test|17"} {
			d.enters(t, d.sign(with("sub", sub)), fmt.Sprintf("a good token, whose sub is %q", sub))
			require.NotNil(t, d.who, "a good token, whose sub is %q: nobody was noted", sub)
			assert.Equal(t, sub, d.who.Subject, "the subject that was noted of a good token, whose sub is %q: it is an ID, and not mended. Two that differ in one octet are two (RFC 7519 §4.1.2)", sub)
		}
	})

	t.Run("notes_what_they_may_do", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(with("scope", "orders:write menu:read")), `a good token with "scope": "orders:write menu:read"`)
		require.NotNil(t, d.who, "a good token: nobody was noted")
		assert.ElementsMatch(t, []string{"orders:write", "menu:read"}, d.who.Scopes, `the scopes noted of a good token with "scope": "orders:write menu:read": they are separated by spaces (RFC 8693 §4.2)`)
	})

	t.Run("notes_no_scope_where_there_is_none", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(with("scope", "orders:write")), "a good token with a scope")
		for _, row := range []struct {
			is     string
			change func(header, claims map[string]any)
		}{{"without scope", without("scope")}, {`with "scope": ""`, with("scope", "")}} {
			d.enters(t, d.sign(row.change), "a good token "+row.is)
			require.NotNil(t, d.who, "a good token %s: nobody was noted", row.is)
			assert.Empty(t, d.who.Scopes, "the scopes noted of a good token %s, after one with orders:write, are %q: it holds none, not an empty one (strings.Split makes one of \"\"), and not those of the request before", row.is, d.who.Scopes)
		}
	})

	t.Run("keeps_the_context_that_the_request_came_with", func(t *testing.T) {
		d := open(t, nil)
		ctx, leave := context.WithCancel(request.WithID(t.Context(), "01K30T8Z"))
		defer leave()
		d.meanwhile = leave
		r := httptest.NewRequestWithContext(ctx, "GET", "/orders", nil)
		r.Header.Set("Authorization", "Bearer "+d.sign(nil))
		answer := d.ask(r)
		require.Equal(t, http.StatusOK, answer.Code, "a good token, whose sub is ada: "+mustEnter, answer.Body)
		require.NotNil(t, d.who, "a good token, whose sub is ada: nobody was noted")
		require.Equal(t, "01K30T8Z", request.ID(d.ctx), "the request's ID was noted before, and the handlers behind do not find it in the request's context. The new context must be made from the one that the request has, c.Request.Context()")
		require.ErrorIs(t, d.left, context.Canceled, "the client left while the handler behind was at work, and the request's context does not say so: it works for nobody. The new context must be made from the one that the request has. (gin's own c passes for a context, and never ends)")
	})

	t.Run("answers_401_where_no_token_was_sent", func(t *testing.T) {
		d := open(t, nil)
		for _, fields := range [][]string{nil, {"Basic YWRhOnNlY3JldA=="}} {
			answer := d.get(fields...)
			require.Equal(t, http.StatusUnauthorized, answer.Code, "the status for the fields Authorization %q: no token was sent, and Optional is false. 401 says \"tell us who you are\", and 403 would say \"we know, and you may not\" (RFC 9110 §15.5.2, §15.5.4)", fields)
		}
	})

	t.Run("asks_for_a_token_without_an_error_code", func(t *testing.T) {
		d := open(t, nil)
		for _, fields := range [][]string{nil, {"Basic YWRhOnNlY3JldA=="}} {
			assert.Equal(t, authenticate.NoToken, d.get(fields...).Result().Header.Get("WWW-Authenticate"), "the field WWW-Authenticate for the fields Authorization %q: no token was sent. Such an answer says which scheme is wanted, and has no error code, since nothing was wrong (RFC 6750 §3): NoToken. What is set once the answer is written is not sent", fields)
		}
	})

	t.Run("looks_for_tokens_nowhere_else", func(t *testing.T) {
		d := open(t, nil)
		good := d.sign(nil)
		d.enters(t, good, "a good token in the field Authorization")
		r := httptest.NewRequest("GET", "/orders?access_token="+good, nil)
		r.AddCookie(&http.Cookie{Name: "access_token", Value: good})
		assert.Equal(t, http.StatusUnauthorized, d.ask(r).Code, "the status for GET /orders?access_token=…, a good token in the query and in a cookie, and no field Authorization: addresses are kept in logs (RFC 6750 §5.3), and cookies are sent by the browser unasked. No token was sent")
	})

	t.Run("lets_nobody_pass_where_that_is_an_option", func(t *testing.T) {
		d := open(t, func(c *authenticate.Config) { c.Optional = true })
		d.enters(t, d.sign(nil), "a good token, with Optional")
		require.NotNil(t, d.who, "a good token, with Optional: nobody was noted. It says that a token may be missing, and not that it is not looked at")
		answer := d.get()
		assert.Equal(t, http.StatusOK, answer.Code, "the status where no token was sent, with Optional: the handlers behind are called")
		assert.Nil(t, d.who, "who was noted where no token was sent, with Optional: nobody")
	})

	t.Run("refuses_a_bad_token_with_401", func(t *testing.T) {
		d := open(t, nil)
		for _, row := range bad(d) {
			require.Equal(t, http.StatusUnauthorized, d.get(row.fields...).Code, "the status for %s: a token that is not accepted is the same as none at all. Nobody was authenticated, and that is 401 (RFC 6750 §3.1)", row.is)
		}
	})

	t.Run("says_that_the_token_was_bad", func(t *testing.T) {
		d := open(t, nil)
		for _, row := range bad(d) {
			assert.Equal(t, authenticate.BadToken, d.get(row.fields...).Result().Header.Get("WWW-Authenticate"), "the field WWW-Authenticate for %s: error=\"invalid_token\" tells the client to get a new one (RFC 6750 §3.1), and nothing else is told: BadToken", row.is)
		}
	})

	t.Run("refuses_a_bad_token_where_none_is_needed", func(t *testing.T) {
		d := open(t, func(c *authenticate.Config) { c.Optional = true })
		for _, row := range bad(d) {
			require.Equal(t, http.StatusUnauthorized, d.get(row.fields...).Code, "the status for %s, with Optional: a token may be missing, but one that was sent must be good. The client believes that it is known, and would be taken for nobody", row.is)
		}
	})

	t.Run("calls_no_handler_behind", func(t *testing.T) {
		d := open(t, nil)
		for _, row := range bad(d) {
			_ = d.get(row.fields...)
			require.Zero(t, d.calls, "%s was answered, and then the handler behind was called all the same, which would have made the order. In gin, an answer does not end the chain: Abort does", row.is)
		}
	})

	t.Run("notes_nobody_by_a_bad_token", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(nil), "a good token")
		require.NotNil(t, d.told, "a good token, whose sub is ada: who stands before, and writes the log, asks request.From when all have returned, and finds nobody")
		for _, row := range bad(d) {
			_ = d.get(row.fields...)
			require.Nil(t, d.told, "%s was refused. Who stands before, and writes the log, asks request.From when all have returned, and finds somebody there: a token that anyone could write has put a name into our log. After refuse, return", row.is)
		}
	})

	t.Run("sends_a_problem", func(t *testing.T) {
		d := open(t, nil)
		for _, row := range append(bad(d), attempt{is: "no token at all"}) {
			answer := d.get(row.fields...)
			require.Equal(t, problem.ContentType, answer.Result().Header.Get("Content-Type"), "the Content-Type of the answer to %s: a refusal is a problem document (RFC 9457)", row.is)
			var got problem.Details
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got), "the answer to %s: %q", row.is, answer.Body)
			assert.Equal(t, http.StatusUnauthorized, got.Status, "the member status in the answer to %s: %s", row.is, answer.Body)
			assert.NotEmpty(t, got.Detail, "the member detail in the answer to %s says what to do: %s", row.is, answer.Body)
		}
	})

	t.Run("says_no_more_to_one_who_forges", func(t *testing.T) {
		d := open(t, nil)
		first := d.get("Bearer " + d.forge(nil))
		require.NotEqual(t, http.StatusOK, first.Code, "a token that was signed with another key")
		for _, row := range bad(d) {
			answer := d.get(row.fields...)
			assert.Equal(t, first.Body.String(), answer.Body.String(), "the answers' bodies to a token that was signed with another key, and to %s. They are the same: who tries should not be told how near it came, nor by which library we look", row.is)
		}
	})

	t.Run("a_token_that_has_expired", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(with("exp", d.in(time.Minute))), `a token whose "exp" is in a minute`)
		d.refuses(t, d.sign(with("exp", d.in(-time.Minute))), `a token whose "exp" was a minute ago (RFC 7519 §4.1.4)`)
	})

	t.Run("a_token_that_never_expires", func(t *testing.T) {
		d := open(t, nil)
		d.refuses(t, d.sign(without("exp")), `a token without "exp". RFC 7519 §4.1.4 lets it be missing, and golang-jwt does, too, unless it is told otherwise: then what leaks once, into a log or a shop, is good for ever`)
	})

	t.Run("a_token_from_later", func(t *testing.T) {
		d := open(t, nil)
		for _, claim := range []string{"nbf", "iat"} {
			d.enters(t, d.sign(with(claim, d.in(-time.Minute))), fmt.Sprintf("a token whose %q was a minute ago", claim))
			d.refuses(t, d.sign(with(claim, d.in(time.Minute))), fmt.Sprintf(`a token whose %q is in a minute: it is not good yet (RFC 7519 §4.1.5), or was issued in the future (§4.1.6), which no clock of ours has seen`, claim))
		}
	})

	t.Run("a_token_from_another_issuer", func(t *testing.T) {
		d := open(t, nil)
		for _, iss := range []string{"https://login.evil.test", "https://shop.test/", "HTTPS://SHOP.TEST", ""} {
			d.refuses(t, d.sign(with("iss", iss)), fmt.Sprintf(`a token whose "iss" is %q, where Issuer is %q: octet by octet (RFC 7519 §4.1.1)`, iss, issuer))
		}
		d.refuses(t, d.sign(without("iss")), `a token without "iss"`)
	})

	t.Run("a_token_for_someone_else", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(with("aud", []string{"https://mail.test", audience})), `a token whose "aud" is a list, and Audience is one of it`)
		for _, aud := range []any{"https://mail.test", []string{"https://mail.test", "https://shop.test/orders/"}, []string{}, ""} {
			d.refuses(t, d.sign(with("aud", aud)), fmt.Sprintf(`a token whose "aud" is %q, where Audience is %q: whoever got it to use it there could come here with it (RFC 7519 §4.1.3)`, aud, audience))
		}
		d.refuses(t, d.sign(without("aud")), `a token without "aud"`)
	})

	t.Run("a_token_of_nobody", func(t *testing.T) {
		d := open(t, nil)
		d.refuses(t, d.sign(without("sub")), `a token without "sub": all who bear such ones would be the same person, ""`)
		d.refuses(t, d.sign(with("sub", "")), `a token whose "sub" is empty: all who bear such ones would be the same person, ""`)
	})

	t.Run("goes_by_its_own_clock", func(t *testing.T) {
		then := time.Date(2040, 2, 29, 18, 0, 0, 0, time.UTC)
		d := open(t, func(c *authenticate.Config) { c.Now = func() time.Time { return then } })
		d.enters(t, d.sign(func(_, claims map[string]any) {
			claims["iat"], claims["exp"] = then.Add(-time.Minute).Unix(), then.Add(time.Minute).Unix()
		}), "a token for two minutes in the year 2040, and Now says that it is then")
		d.refuses(t, d.sign(nil), "a token for today, and Now says that it is 2040: it has expired")
	})

	t.Run("allows_for_clocks_that_are_apart", func(t *testing.T) {
		d := open(t, func(c *authenticate.Config) { c.Leeway = 2 * time.Minute })
		d.enters(t, d.sign(with("exp", d.in(-time.Minute))), `a token whose "exp" was a minute ago, and Leeway is two minutes`)
		d.enters(t, d.sign(with("nbf", d.in(time.Minute))), `a token whose "nbf" is in a minute, and Leeway is two minutes`)
		d.refuses(t, d.sign(with("exp", d.in(-3*time.Minute))), `a token whose "exp" was three minutes ago, and Leeway is two`)
	})

	t.Run("a_token_that_was_altered", func(t *testing.T) {
		d := open(t, nil)
		good := strings.Split(d.sign(nil), ".")
		other := strings.Split(d.sign(with("sub", "bob")), ".")
		d.enters(t, strings.Join(good, "."), "a good token")
		d.refuses(t, good[0]+"."+other[1]+"."+good[2], "a token with another's claims and its own signature (RFC 7515 §5.2)")
		d.refuses(t, good[0]+"."+good[1]+".", "a token whose signature was cut off")
	})

	t.Run("a_token_without_a_signature", func(t *testing.T) {
		for _, algorithm := range algorithms {
			d := open(t, algorithm.config)
			d.enters(t, d.sign(nil), "a good token, signed by "+algorithm.name)
			for _, none := range []string{"none", "None", "NONE", ""} {
				d.refuses(t, segments(map[string]any{"alg": none, "typ": "JWT"}, d.claims())+".", fmt.Sprintf(`a token whose header says "alg": %q, and that has no signature. Anyone can write one (RFC 8725 §2.1)`, none))
			}
		}
	})

	t.Run("a_token_signed_with_the_public_key", func(t *testing.T) {
		for _, algorithm := range algorithms {
			if algorithm.public == nil {
				continue // HS256
			}
			d := open(t, algorithm.config)
			d.enters(t, d.sign(nil), "a good token, signed by "+algorithm.name)
			der, _ := pem.Decode(algorithm.key())
			for _, secret := range [][]byte{algorithm.key(), bytes.TrimSpace(algorithm.key()), der.Bytes, der.Bytes[len(der.Bytes)-ed25519.PublicKeySize:]} {
				text := segments(map[string]any{"alg": "HS256", "typ": "JWT"}, d.claims())
				d.refuses(t, text+"."+encode(hs256(text, secret)), "a token whose header says HS256, signed with the octets of the public key as the secret, where Algorithm is "+algorithm.name+". Everyone has that key, so everyone could sign. The token must not choose how the key is used (RFC 8725 §2.1)")
			}
		}
	})

	t.Run("a_token_by_another_algorithm", func(t *testing.T) {
		d := open(t, nil)
		d.enters(t, d.sign(nil), "a good token, signed by HS256")
		text := segments(map[string]any{"alg": "HS512", "typ": "JWT"}, d.claims())
		mac := hmac.New(sha512.New, secret)
		mac.Write([]byte(text))
		d.refuses(t, text+"."+encode(mac.Sum(nil)), "a token signed by HS512 with the right secret, where Algorithm is HS256: only that one is accepted, whatever the token's header says (RFC 8725 §3.1)")
	})

	t.Run("a_token_that_names_its_key", func(t *testing.T) {
		for _, algorithm := range algorithms {
			d := open(t, algorithm.config)
			names := func(header, _ map[string]any) {
				header["kid"] = "../../../dev/null"
				header["jku"] = "https://login.evil.test/keys"
				header["jwk"] = map[string]any{"kty": "oct", "k": encode(thief)}
			}
			d.enters(t, d.sign(names), "a token that is good, and has a strange kid, jku and jwk in its header. There is one key, so nothing is to be asked of them")
			text := d.forge(names)
			d.refuses(t, text, "a token signed with a key that it brings along (jwk), or that is empty (kid: /dev/null): it is checked with our key, and with no other (RFC 8725 §3.10)")
		}
	})

	t.Run("a_token_that_is_too_long", func(t *testing.T) {
		d := open(t, nil)
		token, longer := "", d.sign(nil)
		for n := 2000; len(longer) <= authenticate.MaxLength; n++ {
			token, longer = longer, d.sign(with("scope", strings.Repeat("x", n)))
		}
		d.enters(t, token, fmt.Sprintf("a good token of %d octets, where MaxLength is %d", len(token), authenticate.MaxLength))
		d.refuses(t, longer, fmt.Sprintf("a token of %d octets, signed as it should be, where MaxLength is %d", len(longer), authenticate.MaxLength))
	})

	t.Run("decodes_nothing_that_is_too_long", func(t *testing.T) {
		d := open(t, nil)
		good, part := d.sign(nil), strings.Repeat("QUFB", 1<<18)
		d.enters(t, good, "a good token")
		huge := "Bearer " + part + "." + part + "." + part
		d.refuses(t, huge[7:], "a token of 3 MiB")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = d.get(huge)
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<18), "octets of memory taken to refuse a token of 3 MiB: more than was ever needed for a good one. Look at its length before it is decoded")
	})

	t.Run("accepts_each_of_the_algorithms", func(t *testing.T) {
		for _, algorithm := range algorithms {
			d := open(t, algorithm.config)
			d.enters(t, d.sign(nil), "a token signed by "+algorithm.name+", where Algorithm is "+algorithm.name)
			require.NotNil(t, d.who, "a token signed by %s: nobody was noted", algorithm.name)
			d.refuses(t, d.forge(nil), "a token signed by "+algorithm.name+" with another key than ours")
		}
	})
}

// A Config that is wrong is refused without a learner's doing.
//
//workshop:guard TestNew/...
func TestNew(t *testing.T) {
	good := authenticate.Config{Algorithm: "HS256", Key: secret, Issuer: issuer, Audience: audience}
	public := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}

	t.Run("reports_all_faults_at_once", func(t *testing.T) {
		_, err := authenticate.New(authenticate.Config{Leeway: -time.Second})
		require.Error(t, err)
		for _, word := range []string{`Algorithm is ""`, "Issuer", "Audience", "Leeway is -1s"} {
			assert.ErrorContains(t, err, word)
		}
	})

	t.Run("refuses_what_cannot_be_right", func(t *testing.T) {
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		require.NoError(t, err)
		private, err := x509.MarshalPKCS8PrivateKey(edKey)
		require.NoError(t, err)
		for name, change := range map[string]func(*authenticate.Config){
			"none":                       func(c *authenticate.Config) { c.Algorithm = "none" },
			"an algorithm in lower case": func(c *authenticate.Config) { c.Algorithm = "hs256" },
			"a short secret":             func(c *authenticate.Config) { c.Key = secret[:31] },
			"a public key for a secret":  func(c *authenticate.Config) { c.Key = public(edKey.Public()) },
			"a secret for a public key":  func(c *authenticate.Config) { c.Algorithm = "EdDSA" },
			"no key":                     func(c *authenticate.Config) { c.Key = nil },
			"a private key": func(c *authenticate.Config) {
				c.Algorithm, c.Key = "EdDSA", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
			},
			"another algorithm's key": func(c *authenticate.Config) { c.Algorithm, c.Key = "ES256", public(edKey.Public()) },
			"another curve":           func(c *authenticate.Config) { c.Algorithm, c.Key = "ES256", public(p384.Public()) },
			"a short RSA key":         func(c *authenticate.Config) { c.Algorithm, c.Key = "RS256", public(rsaThief.Public()) },
			"PEM around nothing": func(c *authenticate.Config) {
				c.Algorithm, c.Key = "RS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY"})
			},
			"clocks that are hours apart": func(c *authenticate.Config) { c.Leeway = time.Hour },
			"tokens of any issuer":        func(c *authenticate.Config) { c.Issuer = "" },
			"tokens for any audience":     func(c *authenticate.Config) { c.Audience = "" },
		} {
			c := good
			change(&c)
			handler, err := authenticate.New(c)
			assert.Error(t, err, name)
			assert.Nil(t, handler, name)
		}
		_, err = authenticate.New(good)
		assert.NoError(t, err)
	})

	t.Run("does_not_tell_the_key", func(t *testing.T) {
		c := good
		c.Key = []byte("hunter2-hunter2")
		_, err := authenticate.New(c)
		require.ErrorContains(t, err, "15 octets")
		assert.NotContains(t, err.Error(), "hunter2")
	})
}

func FuzzHandler(f *testing.F) {
	d := open(f, nil)
	good := d.sign(nil)
	for _, field := range []string{"", "Bearer", "Bearer ..", "Bearer null", "Bearer e30.e30.", "Bearer bnVsbA.bnVsbA.bnVsbA", "Bearer " + d.forge(nil), "Bearer " + strings.Replace(good, ".", "..", 1), "Bearer a" + good} {
		f.Add(field)
	}
	signed := good[:strings.LastIndex(good, ".")]
	f.Fuzz(func(t *testing.T, field string) {
		d.t = t
		answer := d.get(field)
		if answer.Code == http.StatusOK {
			require.Contains(t, field, signed, "this field Authorization came in, and what is signed is not in it")
			require.NotNil(t, d.who, "who was noted for Authorization: %q", field)
			return
		}
		assert.Equal(t, http.StatusUnauthorized, answer.Code, "the status for Authorization: %q", field)
		assert.Contains(t, answer.Result().Header.Get("WWW-Authenticate"), "Bearer realm=", "the field WWW-Authenticate for Authorization: %q: a 401 must have it (RFC 9110 §15.5.2)", field)
		assert.Zero(t, d.calls, "the handler behind was called for Authorization: %q", field)
	})
}

// How much is it over the library's own work? Compare each with its parse.
func BenchmarkAuthenticate(b *testing.B) {
	for _, algorithm := range algorithms {
		d := open(b, algorithm.config)
		token := d.sign(with("scope", "orders:write orders:read"))
		b.Run(algorithm.name+"/handler", func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequest("POST", "/orders", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			for b.Loop() {
				d.engine.ServeHTTP(w, r)
			}
		})
		b.Run(algorithm.name+"/parse", func(b *testing.B) {
			b.ReportAllocs()
			key := algorithm.public
			if key == nil {
				key = secret
			}
			for b.Loop() {
				if _, err := jwt.ParseWithClaims(token, &authenticate.Claims{}, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A door has a bouncer, and a handler behind that notes who came in.
type door struct {
	t      testing.TB
	engine *gin.Engine
	c      authenticate.Config
	who    *request.Principal // of the last request that came in; nil is nobody
	told   *request.Principal // whom those before find, when the last request is over
	ctx    context.Context    // of the last request that came in
	left   error              // that ctx had by then
	calls  int                // of the handler behind, by the last request

	meanwhile func() // is called by the handler behind, unless nil
}

func open(t testing.TB, change func(*authenticate.Config)) *door {
	gin.SetMode(gin.TestMode)
	d := &door{t: t, engine: gin.New(), c: authenticate.Config{Algorithm: "HS256", Key: secret, Issuer: issuer, Audience: audience}}
	if change != nil {
		change(&d.c)
	}
	handler, err := authenticate.New(d.c)
	require.NoError(t, err)
	d.engine.Use(func(c *gin.Context) { // as accesslog does
		c.Next()
		d.told = request.From(c.Request.Context())
	}, handler)
	d.engine.Any("/orders", func(c *gin.Context) {
		d.ctx = c.Request.Context()
		d.who = request.From(d.ctx)
		d.calls++
		if d.meanwhile != nil {
			d.meanwhile()
		}
		d.left = d.ctx.Err()
		c.String(http.StatusOK, "come in")
	})
	return d
}

// ask sends r, and returns the answer.
func (d *door) ask(r *http.Request) *httptest.ResponseRecorder {
	d.who, d.told, d.ctx, d.left, d.calls = nil, nil, nil, nil, 0
	w := httptest.NewRecorder()
	require.NotPanics(d.t, func() { d.engine.ServeHTTP(w, r) }, "the fields Authorization: %q", r.Header["Authorization"])
	return w
}

// get sends a request with these fields Authorization.
func (d *door) get(fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/orders", nil)
	if len(fields) > 0 {
		r.Header["Authorization"] = fields
	}
	return d.ask(r)
}

// mustEnter is what is said of a good token that was refused. It takes the answer.
const mustEnter = "it must come in. The answer was %s\nIf it is ParseWithClaims that refuses it, print its error: it says why"

func (d *door) enters(t testing.TB, token, is string) {
	t.Helper()
	answer := d.get("Bearer " + token)
	require.Equal(t, http.StatusOK, answer.Code, "%s: "+mustEnter, is, answer.Body)
}

func (d *door) refuses(t testing.TB, token, is string) {
	t.Helper()
	answer := d.get("Bearer " + token)
	require.NotEqual(t, 1, d.calls, "it came in with %s", is)
	require.Equal(t, http.StatusUnauthorized, answer.Code, "the status for %s", is)
}

// claims are those of a good token.
func (d *door) claims() map[string]any {
	return map[string]any{"iss": issuer, "aud": audience, "sub": "ada", "iat": d.in(-time.Minute), "exp": d.in(time.Hour), "scope": "menu:read"}
}

// in is a time in a token: seconds since 1970.
func (d *door) in(after time.Duration) int64 { return time.Now().Add(after).Unix() }

// sign makes a token that is good but for the change, by d's algorithm.
func (d *door) sign(change func(header, claims map[string]any)) string {
	return d.signed(change, false)
}

// forge makes one that is signed with another key.
func (d *door) forge(change func(header, claims map[string]any)) string {
	return d.signed(change, true)
}

func (d *door) signed(change func(header, claims map[string]any), forged bool) string {
	header, claims := map[string]any{"alg": d.c.Algorithm, "typ": "JWT"}, d.claims()
	if change != nil {
		change(header, claims)
	}
	text := segments(header, claims)
	for _, algorithm := range algorithms {
		if algorithm.name == d.c.Algorithm {
			return text + "." + encode(algorithm.sign(text, forged))
		}
	}
	return text + "."
}

func with(claim string, value any) func(header, claims map[string]any) {
	return func(_, claims map[string]any) { claims[claim] = value }
}

func without(claim string) func(header, claims map[string]any) {
	return func(_, claims map[string]any) {
		maps.DeleteFunc(claims, func(name string, _ any) bool { return name == claim })
	}
}

func bearer(t *testing.T, fields ...string) (token string, sent bool) {
	t.Helper()
	h := http.Header{}
	if fields != nil {
		h["Authorization"] = fields
	}
	require.NotPanics(t, func() { token, sent = authenticate.Bearer(h) }, "the fields Authorization: %q", fields)
	return token, sent
}

// An attempt is what one may try to come in with.
type attempt struct {
	is     string
	fields []string
}

func bad(d *door) []attempt {
	good := d.sign(nil)
	return []attempt{
		{"a token that was signed with another key", []string{"Bearer " + d.forge(nil)}},
		{"a token that has expired", []string{"Bearer " + d.sign(with("exp", d.in(-time.Hour)))}},
		{"a token whose claims are no JSON", []string{"Bearer " + strings.Split(good, ".")[0] + ".e30x." + strings.Split(good, ".")[2]}},
		{"a token of one part", []string{"Bearer letmein"}},
		{"a token without \"sub\"", []string{"Bearer " + d.sign(without("sub"))}},
		{"the scheme Bearer with nothing behind it", []string{"Bearer"}},
		{"a good token and another word behind it", []string{"Bearer " + good + " x"}},
		{"a good token in each of two fields", []string{"Bearer " + good, "Bearer " + good}},
		{"a token that is too long", []string{"Bearer " + strings.Repeat("x", authenticate.MaxLength+1)}},
	}
}

// What follows makes tokens by hand, and not by the library that reads them.

const (
	issuer   = "https://shop.test"
	audience = "https://shop.test/orders"
)

var (
	secret = []byte("a secret that only the house has")
	thief  = []byte("a secret that somebody else has.")

	_, edKey, _   = ed25519.GenerateKey(rand.Reader)
	_, edThief, _ = ed25519.GenerateKey(rand.Reader)
	ecKey, _      = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ecThief, _    = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, _     = rsa.GenerateKey(rand.Reader, 2048)
	rsaThief, _   = rsa.GenerateKey(rand.Reader, 1024) // quicker, and good enough for a thief
)

type algorithm struct {
	name   string
	public crypto.PublicKey // nil if there is none
	sign   func(text string, forged bool) []byte
}

var algorithms = []algorithm{
	{"HS256", nil, func(text string, forged bool) []byte { return hs256(text, pick(forged, thief, secret)) }},
	{"EdDSA", edKey.Public(), func(text string, forged bool) []byte {
		return ed25519.Sign(pick(forged, edThief, edKey), []byte(text))
	}},
	{"ES256", ecKey.Public(), func(text string, forged bool) []byte {
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, pick(forged, ecThief, ecKey), sum[:])
		if err != nil {
			panic(err)
		}
		both := make([]byte, 64) // RFC 7518 §3.4
		r.FillBytes(both[:32])
		s.FillBytes(both[32:])
		return both
	}},
	{"RS256", rsaKey.Public(), func(text string, forged bool) []byte {
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(nil, pick(forged, rsaThief, rsaKey), crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return sig
	}},
}

func (a algorithm) config(c *authenticate.Config) { c.Algorithm, c.Key = a.name, a.key() }

// key is what a Config holds.
func (a algorithm) key() []byte {
	if a.public == nil {
		return secret
	}
	der, err := x509.MarshalPKIXPublicKey(a.public)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func segments(header, claims map[string]any) string {
	h, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return encode(h) + "." + encode(c)
}

func encode(octets []byte) string { return base64.RawURLEncoding.EncodeToString(octets) }

func hs256(text string, secret []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
