//go:build ignore

// One Claims serves all requests. JSON that does not name a field leaves it as it
// was, so a token without scopes gets those of the token before. A lock does not
// help: it is not that two write at once, but that one is left over.
//
//workshop:caught-by TestHandler/notes_no_scope_where_there_is_none
//workshop:says not those of the request before
package authenticate

import (
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"

	"clicktocode.example/04-middleware/request"
)

var (
	claims Claims
	turn   sync.Mutex
)

func (b *bouncer) handle(c *gin.Context) {
	token, sent := Bearer(c.Request.Header)
	switch {
	case !sent && b.optional:
		return
	case !sent:
		refuse(c, NoToken)
		return
	case len(token) > MaxLength:
		refuse(c, BadToken)
		return
	}
	turn.Lock()
	defer turn.Unlock()
	_, err := b.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return b.key, nil })
	if err != nil || claims.Subject == "" {
		refuse(c, BadToken)
		return
	}
	request.Note(c, request.WithPrincipal(c.Request.Context(), &request.Principal{
		Subject: claims.Subject,
		Scopes:  strings.Fields(claims.Scope),
	}))
}
