package httpcache

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// Window is how far, in octets, the content of a Body that is not kept may run
// ahead of its slowest reader.
const Window = 64 << 10

// ErrEnded is the answer to who appends to a Body after its Close.
var ErrEnded = errors.New("httpcache: the body has ended")

// Body is content that may still be arriving, for many readers, each at its own
// pace. One writer appends to it, and ends it, complete or failed.
//
// As long as it is kept, all of it stays, and whoever comes later reads it from
// the beginning. When it outgrows its limit it is kept no more, and becomes a
// window: those who read it by then get all of it, nobody new may join, and the
// writer waits for the slowest of them. So it never takes more than its limit
// and a window or two, however long it gets. The price is that one slow reader
// holds up the others of that one body.
//
// Its methods may be called by many goroutines at once, except that Append and
// Close are for one writer. Make one with NewBody or BodyOf; one that was made
// otherwise is never kept.
type Body struct {
	limit int64
	size  int64                       // what it is expected to come to, at most limit; 0 where that is unknown
	grow  func(delta int64) (ok bool) // nil, or asked for memory; for the writer alone

	// whole is the content, once that has arrived and is kept: for most readers
	// that is all they need, and it takes no lock.
	whole atomic.Pointer[[]byte]

	mu      sync.Mutex // guards what follows
	buf     []byte     // the content from base on. What is in it never changes
	spare   []byte     // of a window: the array of buf, from its beginning, or nil
	base    int64      // where in the content buf begins; 0 while it is kept
	outgrew bool       // it is a window
	joined  bool       // there was a reader
	ended   bool
	err     error // why it failed, if it ended and did
	readers []*Reader
	more    chan struct{} // nil, or closed when there is more to read
	room    chan struct{} // nil, or closed when there may be more room to write
}

// NewBody returns a Body that is kept up to limit octets; with 0 it is a window
// from the beginning, for its first reader alone. size is how long the content
// is going to be, if that is known, and below 0 if not.
//
// grow, unless nil, is asked before the Body takes delta more octets of memory,
// and refuses by false: the Body is then kept no more. It is told, with a delta
// below 0, of what the Body gives back. What a window takes is not asked for. It
// is called by the writer, with the Body locked.
func NewBody(limit, size int64, grow func(delta int64) (ok bool)) *Body {
	b := &Body{limit: limit, grow: grow, outgrew: limit <= 0}
	if size <= limit {
		b.size = max(size, 0)
	}
	return b
}

// BodyOf returns a complete Body with content, which nobody may change any more.
func BodyOf(content []byte) *Body {
	b := &Body{limit: int64(len(content)), buf: content, ended: true}
	b.whole.Store(&content)
	return b
}

// Bytes returns the content if it is complete and kept, for reading only. nil
// has none, which is complete.
func (b *Body) Bytes() (content []byte, ok bool) {
	if b == nil {
		return nil, true
	}
	if whole := b.whole.Load(); whole != nil {
		return *whole, true
	}
	return nil, false
}

// Kept reports whether the Body holds all that has arrived so far.
func (b *Body) Kept() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.outgrew
}

// Readers is how many readers there are that have not been closed.
func (b *Body) Readers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.readers)
}

// Append adds a copy of p. It waits where the Body is a window that is full, also
// for the first reader to come, until there is room or ctx ends.
func (b *Body) Append(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		b.mu.Lock()
		if b.ended {
			b.mu.Unlock()
			return ErrEnded
		}
		if n := b.makeRoomLocked(len(p)); n > 0 {
			b.buf = append(b.buf, p[:n]...)
			p = p[n:]
			tell(&b.more)
			b.mu.Unlock()
			continue
		}
		room := await(&b.room)
		b.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close ends the Body: complete, or failed if err is not nil. All readers get
// what has arrived, and then io.EOF or err. Only the first Close counts.
func (b *Body) Close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended, b.err = true, err
	if err == nil && !b.outgrew {
		if before := cap(b.buf); before-len(b.buf) > len(b.buf)/8 {
			b.buf = append([]byte(nil), b.buf...) // it may be stored for long: without the room to grow
			b.askLocked(int64(cap(b.buf) - before))
		}
		whole := b.buf
		b.whole.Store(&whole)
	}
	b.grow = nil // a body may live long: let it hold on to nothing that brought it
	tell(&b.more)
}

// NewReader returns a reader of all the content, from its beginning. ok is false
// where that cannot be had any more. It has to be closed.
func (b *Body) NewReader() (r *Reader, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outgrew && b.joined {
		return nil, false
	}
	r = &Reader{body: b}
	b.joined = true
	b.readers = append(b.readers, r)
	return r, true
}

// Reader reads a Body. It is for one goroutine at a time.
type Reader struct {
	body *Body

	// Body.mu guards what follows.
	pos    int64 // what is before it has been dealt with
	held   int   // how much from pos on Next has returned
	closed bool
}

// Next returns the next piece of the content, for reading only and until the
// next call. It waits for one until ctx ends. At the end of the content the
// error is io.EOF, or what the Body failed with.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	b := r.body
	for {
		b.mu.Lock()
		if r.closed {
			b.mu.Unlock()
			return nil, io.ErrClosedPipe
		}
		r.pos += int64(r.held) // asking for more says that the caller is done with it
		r.held = 0
		if b.outgrew {
			tell(&b.room)
		}
		if p := b.buf[r.pos-b.base:]; len(p) > 0 {
			r.held = len(p)
			b.mu.Unlock()
			return p[:len(p):len(p)], nil
		}
		if b.ended {
			defer b.mu.Unlock()
			if b.err != nil {
				return nil, b.err
			}
			return nil, io.EOF
		}
		more := await(&b.more)
		b.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// CaughtUp reports whether Next would wait: what was read so far should not lie
// in a buffer meanwhile.
func (r *Reader) CaughtUp() bool {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended && r.pos+int64(r.held) == b.base+int64(len(b.buf))
}

// Close takes the reader out: nobody waits for it any more. A second Close does
// nothing.
func (r *Reader) Close() {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	r.closed = true
	b.readers = slices.DeleteFunc(b.readers, func(other *Reader) bool { return other == r })
	tell(&b.room)
}

// makeRoomLocked makes room in buf for up to want octets, and returns for how
// many: 0 means that the writer has to wait.
func (b *Body) makeRoomLocked(want int) int {
	if !b.outgrew {
		if b.keepLocked(len(b.buf) + want) {
			return want
		}
		b.outgrew = true
	}
	low := b.base + int64(len(b.buf))
	for _, r := range b.readers {
		low = min(low, r.pos)
	}
	if len(b.readers) == 0 {
		low = b.base // the first one to come wants it all
	}
	b.buf, b.base = b.buf[low-b.base:], low
	if len(b.buf) == 0 && b.spare != nil {
		b.buf = b.spare[:0] // nobody reads in it any more: start anew at its beginning
	}
	n := min(want, Window-len(b.buf))
	if n <= 0 {
		return 0
	}
	if need := len(b.buf) + n; need > cap(b.buf) {
		fresh := make([]byte, len(b.buf), min(max(2*need, 4<<10), Window))
		copy(fresh, b.buf)
		if b.spare == nil && b.limit > 0 {
			b.askLocked(-b.held()) // the large array of when it was kept
		}
		b.buf, b.spare = fresh, fresh
	}
	return n
}

// keepLocked gives buf a capacity of at least need, if that is allowed.
func (b *Body) keepLocked(need int) bool {
	before := cap(b.buf)
	if int64(need) > b.limit {
		return false
	}
	if need <= before {
		return true
	}
	after := max(int64(need), b.size, min(2*int64(before), b.limit), min(512, b.limit))
	if !b.askLocked(after - int64(before)) {
		return false
	}
	fresh := append([]byte(nil), make([]byte, after)...)
	b.askLocked(int64(cap(fresh)) - after) // what the allocator adds, which is little, and there already
	b.buf = append(fresh[:0], b.buf...)
	return true
}

// held is how much memory grow was asked for.
func (b *Body) held() int64 { return b.base + int64(cap(b.buf)) }

func (b *Body) askLocked(delta int64) bool { return b.grow == nil || b.grow(delta) }

// await returns a channel that the next tell closes.
func await(c *chan struct{}) <-chan struct{} {
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}

// tell wakes all who await c.
func tell(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}
