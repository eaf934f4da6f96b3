package issuer_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/04-middleware/issuer"
	"clicktocode.example/04-middleware/request"
	"clicktocode.example/04-middleware/solution/authenticate"
)

// TestMain is one of the processes of TestSideBySide, where the environment says so.
func TestMain(m *testing.M) {
	dir := os.Getenv("ISSUER_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until all are let go at once
	key, err := issuer.Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("%x", key.Config().Key)
}

func TestSign(t *testing.T) {
	key, err := issuer.Open(t.TempDir())
	require.NoError(t, err)

	t.Run("what_authenticate_accepts", func(t *testing.T) {
		signed, err := key.Sign("ada", []string{"orders:write", "orders:read"}, time.Minute)
		require.NoError(t, err)
		assert.Equal(t, &request.Principal{Subject: "ada", Scopes: []string{"orders:write", "orders:read"}}, accepts(t, key.Config(), signed))
	})

	t.Run("until_it_expires", func(t *testing.T) {
		signed, err := key.Sign("ada", nil, time.Minute)
		require.NoError(t, err)
		c := key.Config()
		c.Now = func() time.Time { return time.Now().Add(59 * time.Second) }
		assert.Equal(t, &request.Principal{Subject: "ada", Scopes: []string{}}, accepts(t, c, signed))
		c.Now = func() time.Time { return time.Now().Add(61 * time.Second) }
		assert.Nil(t, accepts(t, c, signed))
	})

	t.Run("not_with_another_key", func(t *testing.T) {
		other, err := issuer.Open(t.TempDir())
		require.NoError(t, err)
		signed, err := key.Sign("ada", nil, time.Minute)
		require.NoError(t, err)
		assert.Nil(t, accepts(t, other.Config(), signed))
	})

	t.Run("nothing_that_makes_no_sense", func(t *testing.T) {
		_, err := key.Sign("", []string{"orders write", ""}, time.Millisecond)
		for _, word := range []string{"subject is empty", `"orders write"`, `""`, "1ms"} {
			assert.ErrorContains(t, err, word)
		}
	})
}

func TestOpen(t *testing.T) {
	t.Run("makes_a_key_that_is_for_its_owner_alone", func(t *testing.T) {
		dir := t.TempDir()
		_, err := issuer.Open(dir)
		require.NoError(t, err)
		info, err := os.Stat(filepath.Join(dir, issuer.KeyFile))
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		}
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, files, 1, "nothing else is left")
	})

	t.Run("finds_it_again", func(t *testing.T) {
		dir := t.TempDir()
		first, err := issuer.Open(dir)
		require.NoError(t, err)
		again, err := issuer.Open(dir)
		require.NoError(t, err)
		assert.Equal(t, first.Config(), again.Config())
	})

	t.Run("refuses_a_damaged_one", func(t *testing.T) {
		for _, text := range []string{"", "\n", "c2hvcnQ\n", "not base64!"} {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, issuer.KeyFile), []byte(text), 0o600))
			_, err := issuer.Open(dir)
			assert.ErrorContains(t, err, "delete it", "%q", text)
		}
	})

	t.Run("refuses_one_that_others_can_read", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no such mode")
		}
		dir := t.TempDir()
		_, err := issuer.Open(dir)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(filepath.Join(dir, issuer.KeyFile), 0o640))
		_, err = issuer.Open(dir)
		assert.ErrorContains(t, err, "read by others")
	})

	t.Run("says_where_there_is_no_folder", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "missing")
		_, err := issuer.Open(dir)
		assert.ErrorContains(t, err, dir)
	})
}

// Replicas a, b and c start at the same moment, and none finds a key.
func TestSideBySide(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	const n = 6
	hold, release, err := os.Pipe()
	require.NoError(t, err)
	var all [n]*exec.Cmd
	var got [n]bytes.Buffer
	for i := range n {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), "ISSUER_TEST_DIR="+dir)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = hold, &got[i], &got[i]
		require.NoError(t, cmd.Start())
		all[i] = cmd
	}
	require.NoError(t, release.Close()) // now
	for i, cmd := range all {
		assert.NoError(t, cmd.Wait(), "%s", &got[i])
	}
	require.NoError(t, hold.Close())
	require.Len(t, got[0].String(), 64)
	for i := range got {
		assert.Equal(t, got[0].String(), got[i].String(), "all of them have the same key")
	}
}

// accepts returns whom c takes the bearer of signed for, or nil.
func accepts(t *testing.T, c authenticate.Config, signed string) (who *request.Principal) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	handler, err := authenticate.New(c)
	require.NoError(t, err)
	engine := gin.New()
	engine.GET("/", handler, func(c *gin.Context) { who = request.From(c.Request.Context()) })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+signed)
	engine.ServeHTTP(httptest.NewRecorder(), r)
	return who
}
