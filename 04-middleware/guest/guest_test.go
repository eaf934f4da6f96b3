package guest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/guest"
	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/authenticate"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// who asks an authenticate that believes key.
func who(t *testing.T, key *issuer.Key, token string) *request.Principal {
	t.Helper()
	handler, err := authenticate.New(key.Config())
	require.NoError(t, err)
	var p *request.Principal
	engine := gin.New()
	engine.GET("/", handler, func(c *gin.Context) { p = request.From(c.Request.Context()) })
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	engine.ServeHTTP(httptest.NewRecorder(), req)
	require.NotNil(t, p, "the token %q is not accepted", token)
	return p
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WORKSHOP_DIR", dir)
	for name, row := range map[string]struct {
		args   string
		asked  bool
		code   int
		scopes []string // of ada, if code is 0
	}{
		"nothing":               {"", false, 0, nil},
		"a_role":                {"-role a", false, 0, nil},
		"a_word_that_begins_so": {"-tokens ada", false, 0, nil},
		"not_the_first":         {"-role click -token ada", false, 0, nil},
		"a_token":               {"-token ada", true, 0, []string{}},
		"one_scope":             {"-token ada -scope orders:write", true, 0, []string{"orders:write"}},
		"two_hyphens":           {"--token=ada --scope=orders:write,x --for=1s", true, 0, []string{"orders:write,x"}},
		"a_word_too_many":       {"-token ada -scope orders:read orders:write", true, 2, nil},
		"no_name":               {"-token", true, 2, nil},
		"an_empty_name":         {"-token=", true, 2, nil},
		"no_time":               {"-token ada -for 0s", true, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code, asked := guest.Command(strings.Fields(row.args), &stdout, &stderr)
			assert.Equal(t, row.asked, asked)
			assert.Equal(t, row.code, code, stderr.String())
			if !asked || code != 0 {
				assert.Empty(t, stdout.String())
				assert.Equal(t, asked, stderr.Len() > 0)
				return
			}
			key, err := issuer.Open(dir)
			require.NoError(t, err)
			p := who(t, key, strings.TrimSpace(stdout.String()))
			assert.Equal(t, "ada", p.Subject)
			assert.Equal(t, row.scopes, p.Scopes)
		})
	}
}

func TestTry(t *testing.T) {
	key, err := issuer.Open(t.TempDir())
	require.NoError(t, err)
	try, err := guest.Try(key, "https://shop.test:9443/menu")
	require.NoError(t, err)
	var found bool
	for _, do := range try {
		if m := regexp.MustCompile(`Bearer (\S+)'`).FindStringSubmatch(do.Command); m != nil {
			found = true
			assert.Equal(t, "ada", who(t, key, m[1]).Subject)
			assert.Contains(t, do.Command, "https://shop.test:9443/orders")
		}
	}
	assert.True(t, found)
}

func TestSession(t *testing.T) {
	key, err := issuer.Open(t.TempDir())
	require.NoError(t, err)
	engine := gin.New()
	engine.POST("/session", guest.Session(key))
	seen := map[string]bool{}
	for range 3 {
		rec := httptest.NewRecorder()
		engine.ServeHTTP(rec, httptest.NewRequest("POST", "/session", nil))
		require.Equal(t, http.StatusCreated, rec.Code)
		p := who(t, key, regexp.MustCompile(`"token":"([^"]+)"`).FindStringSubmatch(rec.Body.String())[1])
		assert.Regexp(t, `^guest-\w{8}$`, p.Subject)
		assert.True(t, p.May("orders:write"))
		assert.False(t, seen[p.Subject], "each is another guest")
		seen[p.Subject] = true
	}
}
