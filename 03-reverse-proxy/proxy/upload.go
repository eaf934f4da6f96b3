package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lingerTime is how long net/http may read on behind an answer that came before
// the end of the request: a client that is cut while it writes may never see what
// was answered.
const lingerTime = 5 * time.Second

// upload is a client's body on its way to the backend. The transport may read it
// in a goroutine of its own, which may outlive the answer; net/http allows nobody
// to read it once the handler has returned.
type upload struct {
	src     io.Reader
	control *http.ResponseController
	idle    time.Duration
	over    atomic.Bool // src has ended, in whatever way
	whole   atomic.Bool // by its end
	late    atomic.Bool // it stood still for too long

	mu     sync.Mutex // held during Read; guards what follows
	closed bool
}

func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	// When a backend dies in the middle, net/http's transport waits for this
	// before it says so, for ever if it must (golang/go #78973).
	_ = u.control.SetReadDeadline(time.Now().Add(u.idle))
	n, err := u.src.Read(p)
	if err != nil {
		u.whole.Store(err == io.EOF)
		u.late.Store(errors.Is(err, os.ErrDeadlineExceeded))
		u.over.Store(true)
	}
	return n, err
}

// Close does nothing: the body is the server's, and to close it would wait for a
// client that has been asked for nothing yet.
func (u *upload) Close() error { return nil }

// end makes sure that nobody reads the body any more.
func (u *upload) end() {
	if u.over.Load() {
		return
	}
	if u.control.SetReadDeadline(time.Unix(1, 0)) == nil { // it ends a Read that has nothing to read
		defer u.control.SetReadDeadline(time.Now().Add(lingerTime))
	}
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
}
