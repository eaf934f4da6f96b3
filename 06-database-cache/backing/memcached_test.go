package backing_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"clicktocode.example/06-database-cache/backing"
)

// memcachedParent, in the environment, makes this test's program one that starts a
// memcached at that address, tells its process, and waits to be killed.
const memcachedParent = "BACKING_TEST_MEMCACHED_PARENT"

func init() {
	addr := os.Getenv(memcachedParent)
	if addr == "" {
		return
	}
	m, err := backing.OpenMemcached(context.Background(), backing.MemcachedConfig{Addr: addr, NoEmbedded: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(m.PID)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func openMemcached(t *testing.T, c backing.MemcachedConfig) *backing.Memcached {
	t.Helper()
	m, err := backing.OpenMemcached(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// realMemcached is openMemcached for what needs an installed one.
func realMemcached(t *testing.T, c backing.MemcachedConfig) *backing.Memcached {
	t.Helper()
	c.NoEmbedded = true
	m, err := backing.OpenMemcached(t.Context(), c)
	if err != nil && strings.Contains(err.Error(), "no memcached is installed") && os.Getenv("CI") == "" {
		t.Skip("not checked: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// works sets and gets.
func works(t *testing.T, m *backing.Memcached) {
	t.Helper()
	c := memcache.New(m.Servers...)
	defer c.Close()
	require.NoError(t, c.Set(&memcache.Item{Key: "menu", Value: []byte("soup")}))
	item, err := c.Get("menu")
	require.NoError(t, err)
	require.Equal(t, "soup", string(item.Value))
}

// listensNot waits until nobody listens.
func listensNot(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, 5*time.Millisecond, "somebody still listens at %s", addr)
}

func TestOpenMemcached(t *testing.T) {
	t.Run("takes one that is installed", func(t *testing.T) {
		m := realMemcached(t, backing.MemcachedConfig{})
		assert.Regexp(t, `^memcached \d+\.\d+\S* from \S*memcached\S* \(installed: .+\): a private one on 127\.0\.0\.1:\d+ with 64 MiB`, m.Took)
		assert.NotZero(t, m.PID)
		works(t, m)
		if os.Geteuid() == 0 {
			assert.Contains(t, m.Took, ", as user ")
			assert.NotEqual(t, "0", owner(t, m.PID))
		}
		require.NoError(t, m.Close())
		require.NoError(t, m.Close())
		require.NoError(t, m.Wait())
		listensNot(t, m.Servers[0])
	})
	t.Run("takes the embedded server where none is", func(t *testing.T) {
		backing.WithoutMemcached(t)
		m := openMemcached(t, backing.MemcachedConfig{})
		assert.Equal(t, "the embedded server of memcached's protocol, on "+m.Servers[0]+" with 64 MiB: no memcached is installed ("+backing.InstallMemcached()+")", m.Took)
		assert.Zero(t, m.PID)
		works(t, m)
		require.NoError(t, m.Close())
		require.NoError(t, m.Wait())
		listensNot(t, m.Servers[0])
	})
	t.Run("takes the embedded server where one does not start", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("not checked: the false memcached is a shell script")
		}
		backing.WithoutMemcached(t)
		path := os.Getenv("PATH") + "/memcached"
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho bad luck >&2; exit 71\n"), 0o755))
		require.NoError(t, os.Chmod(os.Getenv("PATH"), 0o755))
		m := openMemcached(t, backing.MemcachedConfig{})
		assert.Contains(t, m.Took, "the embedded server of memcached's protocol, on ")
		assert.Contains(t, m.Took, path)
		works(t, m)

		_, err := backing.OpenMemcached(t.Context(), backing.MemcachedConfig{Bin: path})
		require.ErrorContains(t, err, path, "what was asked for by name is taken, or nothing is")
	})
	t.Run("refuses the embedded server where it is told to", func(t *testing.T) {
		backing.WithoutMemcached(t)
		_, err := backing.OpenMemcached(t.Context(), backing.MemcachedConfig{NoEmbedded: true})
		require.ErrorIs(t, err, backing.ErrNoMemcached)
		require.ErrorContains(t, err, backing.InstallMemcached())
	})
	t.Run("takes the servers that it is given", func(t *testing.T) {
		a, b := openMemcached(t, backing.MemcachedConfig{Embedded: true}), openMemcached(t, backing.MemcachedConfig{Embedded: true})
		require.NoError(t, b.Close())
		m := openMemcached(t, backing.MemcachedConfig{Servers: []string{" " + a.Servers[0], b.Servers[0]}})
		assert.Equal(t, []string{a.Servers[0], b.Servers[0]}, m.Servers)
		assert.Equal(t, "memcached that runs at "+a.Servers[0]+" (version 1.5.22-embedded), "+b.Servers[0]+" (which does not answer now): MEMCACHED_SERVERS says so", m.Took)
		require.NoError(t, m.Wait())
		require.NoError(t, m.Close())
		works(t, a)
	})
	t.Run("takes nobody else for a memcached", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		go func() {
			conn, err := ln.Accept()
			if err == nil {
				_, _ = io.WriteString(conn, "220 mail.test ESMTP\r\n")
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
		}()
		_, err = backing.OpenMemcached(t.Context(), backing.MemcachedConfig{Servers: []string{ln.Addr().String()}})
		require.ErrorContains(t, err, ln.Addr().String())
		require.ErrorContains(t, err, "220 mail.test ESMTP")
	})
	t.Run("names all that is wrong", func(t *testing.T) {
		_, err := backing.OpenMemcached(t.Context(), backing.MemcachedConfig{
			Servers: []string{"127.0.0.1:", "", "memcached.test", "/run/memcached.sock"}, Addr: "0.0.0.0:11211", MaxBytes: 1,
		})
		for _, part := range []string{`"127.0.0.1:"`, `""`, `"0.0.0.0:11211"`, "MaxBytes"} {
			require.ErrorContains(t, err, part)
		}
		require.NotContains(t, err.Error(), "memcached.test")
		require.NotContains(t, err.Error(), "sock")
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := backing.OpenMemcached(ctx, backing.MemcachedConfig{})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("can be killed and started at the same address", func(t *testing.T) {
		m := realMemcached(t, backing.MemcachedConfig{})
		works(t, m)
		process, err := os.FindProcess(m.PID)
		require.NoError(t, err)
		require.NoError(t, process.Kill())
		require.ErrorContains(t, m.Wait(), fmt.Sprintf("backing: memcached (process %d) has ended by itself: signal: killed", m.PID))
		again := realMemcached(t, backing.MemcachedConfig{Addr: m.Servers[0]})
		require.Equal(t, m.Servers, again.Servers)
		c := memcache.New(again.Servers...)
		defer c.Close()
		_, err = c.Get("menu")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)

		_, err = backing.OpenMemcached(t.Context(), backing.MemcachedConfig{Addr: m.Servers[0], NoEmbedded: true}.WithPatience(1))
		require.ErrorContains(t, err, m.Servers[0]+": exit status", "and not two at once")
	})
}

func TestMemcachedParent(t *testing.T) {
	t.Parallel()
	m := realMemcached(t, backing.MemcachedConfig{}) // or it is skipped
	addr := m.Servers[0]
	require.NoError(t, m.Close())
	self, err := os.Executable()
	require.NoError(t, err)

	t.Run("killed, leaves no process, and the next one takes its place", func(t *testing.T) {
		for range 4 {
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), memcachedParent+"="+addr, "GORACE=atexit_sleep_ms=0")
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			require.NoError(t, err)
			defer in.Close()
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			works(t, &backing.Memcached{Servers: []string{addr}})
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
		}
		listensNot(t, addr)

		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		time.AfterFunc(300*time.Millisecond, func() { l.Close() }) // it ends late
		works(t, realMemcached(t, backing.MemcachedConfig{Addr: addr}))
	})
	t.Run("may lose the supervisor first", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("not checked: Linux alone tells the server")
		}
		m := realMemcached(t, backing.MemcachedConfig{})
		require.NoError(t, parentOf(t, m.PID).Kill())
		require.EqualError(t, m.Wait(), "backing: the supervisor of memcached: signal: killed")
		listensNot(t, m.Servers[0])
	})
}

// owner returns the user's number of a process.
func owner(t *testing.T, pid int) string {
	t.Helper()
	out, err := exec.Command("ps", "-o", "uid=", "-p", fmt.Sprint(pid)).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
