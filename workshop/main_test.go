package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"workshop": func() { os.Exit(Main()) }})
}

// TestScripts runs the tool on a made-up course; see testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GREET_ADDR", freeAddr(t))
			for _, setting := range goEnv(t) {
				name, value, _ := strings.Cut(setting, "=")
				env.Setenv(name, value)
			}
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			env.Cd = filepath.Join(env.WorkDir, "course")
			copyCourse(t, env.Cd)
			return nil
		},
	})
}

// copyCourse puts the made-up course into dir.
func copyCourse(t testing.TB, dir string) {
	t.Helper()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/course")))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, ".workshop")))
}

// goEnv is what a test's go command needs of this one's environment.
func goEnv(t testing.TB) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOTOOLCHAIN"}
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	require.NoError(t, err)
	var env []string
	for i, value := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		env = append(env, names[i]+"="+value)
	}
	// The made-up course is no part of the workspace, and CI is not what its authors verify in.
	return append(env, "GOWORK=", "GOFLAGS=", "CI=", "NO_COLOR=1")
}

// freeAddr's ports count on from the first, which differs from process to process.
var (
	firstPort = rand.Uint32N(20_000)
	ports     atomic.Uint32
)

// freeAddr is an address that nobody listens on, another one each time. "Port 0" would
// be one of those that connections get for their own end: by the time somebody listens,
// one may have it. From 12,000 to 32,000, no system gives any.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 12_000+(firstPort+ports.Add(1))%20_000)
		if ln, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, ln.Close())
			return addr
		}
	}
	require.FailNow(t, "a hundred ports were tried, and none is free")
	return ""
}
