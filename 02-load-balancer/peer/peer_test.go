package peer_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"clicktocode.example/02-load-balancer/peer"
)

// startsAPeer, in the environment, makes the test binary a process that starts
// nginx, says where, and waits to be killed.
const startsAPeer = "PEER_TEST_STARTS_A_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(startsAPeer) != "" {
		p, err := peer.Start(context.Background(), peer.Nginx, configs[peer.Nginx])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.Addr)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var configs = map[peer.Program]func(dir, addr string) string{
	peer.Nginx: func(_, addr string) string {
		return "access_log off; server { listen " + addr + "; return 200 hello; }"
	},
	peer.HAProxy: func(_, addr string) string {
		return "defaults\n mode http\n timeout client 5s\nfrontend f\n bind " + addr + "\n http-request return status 200 content-type text/plain string hello\n"
	},
	peer.Caddy: func(_, addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		return "{\n admin off\n auto_https off\n}\nhttp://:" + port + " {\n bind 127.0.0.1\n respond hello\n}\n"
	},
}

func TestStart(t *testing.T) {
	for program, config := range configs {
		t.Run(string(program), func(t *testing.T) {
			if program == peer.Caddy { // the benchmark's alone, so it need not be there
				if _, err := program.Find(); err != nil {
					t.Log(err)
					return
				}
			}
			p := peer.ForTest(t, program, config)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
			resp, err := client.Get("http://" + p.Addr + "/")
			require.NoError(t, err)
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, "hello", string(text))

			version, err := program.Version()
			require.NoError(t, err)
			assert.Regexp(t, `^\d+\.\d+`, version)

			require.NoError(t, p.Close())
			assert.NoDirExists(t, p.Dir)
			_, err = net.Dial("tcp", p.Addr)
			assert.Error(t, err, "nobody listens any more")
		})
	}

	t.Run("says_why_it_does_not", func(t *testing.T) {
		path, err := peer.Nginx.Find()
		if err != nil {
			t.Skip(err)
		}
		require.NotEmpty(t, path)
		_, err = peer.Start(t.Context(), peer.Nginx, func(string, string) string { return "no_such_directive;" })
		require.ErrorContains(t, err, "no_such_directive")
	})

	t.Run("says_how_to_install_what_is_missing", func(t *testing.T) {
		_, err := peer.Start(t.Context(), "no-such-server", nil)
		var missing *peer.MissingError
		require.ErrorAs(t, err, &missing)
		assert.ErrorContains(t, err, "no-such-server")
	})
}

func TestEndsWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a process with its parent")
	}
	if _, err := peer.Nginx.Find(); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), startsAPeer+"=yes", "TMPDIR="+t.TempDir()) // what a killed one leaves behind
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // held open: it ends by being killed
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	assert.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", strings.TrimSpace(line))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, 5*time.Millisecond, "nginx at %s takes connections after its parent was killed", line)
}
