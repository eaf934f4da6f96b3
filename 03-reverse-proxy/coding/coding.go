// Package coding has the content codings that the edge speaks: zstd, br and
// gzip, with writers that are pooled, since one of them holds a megabyte or two,
// and most answers are shorter than that by far.
//
// A content coding says how content was compressed for the way. The answer names
// it in Content-Encoding; whoever asks says in Accept-Encoding what it can decode.
// In the story, a meal to take away is pressed flat, so that more fits into the bag.
//
// Source: RFC 9110 §8.4.1; RFC 1952 (gzip), RFC 7932 (br), RFC 8878 and
// RFC 9659 (zstd).
package coding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrClosed is the answer to who uses a Writer after its Close.
var ErrClosed = errors.New("coding: the writer is closed")

// Writer compresses what is written to it. It is for one goroutine at a time.
//
// One that is dropped without Close leaves its stream without an end, so that
// whoever decodes it can tell that something is missing. That is the way to
// abort; nothing leaks.
type Writer interface {
	io.Writer

	// Flush passes on all that was written so far, such that the other side can
	// decode it. It costs some bytes each time.
	Flush() error

	// Close ends the stream, also an empty one, and gives what the writer used
	// back to its pool, whether the end arrived or not. The writer below stays
	// open. From then on every method returns ErrClosed.
	Close() error
}

// Names are the codings that NewWriter knows, in the edge's order of preference
// for answers that are compressed while they pass: zstd gains about what br does,
// in a fraction of the time, and gzip is what everybody understands. The caller
// owns the slice.
func Names() []string { return []string{"zstd", "br", "gzip"} }

// NewWriter returns a Writer of this coding, one of Names, that writes to w. It
// compresses quickly rather than well.
func NewWriter(name string, w io.Writer) (Writer, error) {
	pool, ok := pools[name]
	if !ok {
		return nil, fmt.Errorf("coding: no coding %q; there are %q", name, Names())
	}
	e := pool.Get().(encoder)
	e.Reset(w)
	return &writer{encoder: e, pool: pool}, nil
}

// Encode returns content in this coding, one of Names. It compresses well rather
// than quickly, for what is compressed once and sent often.
func Encode(name string, content []byte) ([]byte, error) {
	var to bytes.Buffer
	var w io.WriteCloser
	var err error
	// A window that is longer than the content gains nothing, and costs its size.
	window := min(bits.Len(uint(len(content)))+1, maxWindow)
	switch name {
	case "gzip":
		w, err = gzip.NewWriterLevel(&to, gzip.BestCompression)
	case "br":
		w = brotli.NewWriterOptions(&to, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: max(window, 10)})
	case "zstd":
		w, err = zstd.NewWriter(&to, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<max(window, 10)), zstd.WithLowerEncoderMem(true))
	default:
		err = fmt.Errorf("no such coding; there are %q", Names())
	}
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("coding: encode as %q: %w", name, err)
	}
	return to.Bytes(), nil
}

// maxWindow is how far back what is compressed may refer, as a power of two: 8 MB.
// Of zstd, browsers refuse more (RFC 9659 §3).
const maxWindow = 23

// encoder is what the three libraries have in common.
type encoder interface {
	Writer
	Reset(io.Writer)
}

// pools have encoders that belong to nobody, by the name of their coding.
var pools = map[string]*sync.Pool{
	"gzip": {New: func() any {
		w, err := gzip.NewWriterLevel(nil, 6)
		return must(w, err)
	}},
	"br": {New: func() any {
		// By its default, each of them comes to hold 10 MB: the window is what costs.
		return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 4, LGWin: 18})
	}},
	"zstd": {New: func() any {
		// Concurrency 1 works in the caller's goroutine, so that none is left behind
		// when a writer is dropped.
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
		return must(w, err)
	}},
}

// must is for options that do not depend on any input.
func must(e encoder, err error) encoder {
	if err != nil {
		panic("coding: " + err.Error())
	}
	return e
}

// writer is an encoder for as long as somebody has it. It stands between, so
// that a second Close cannot give the encoder back twice, to two others.
type writer struct {
	encoder encoder // nil once it is closed
	pool    *sync.Pool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.encoder == nil {
		return 0, ErrClosed
	}
	return w.encoder.Write(p)
}

func (w *writer) Flush() error {
	if w.encoder == nil {
		return ErrClosed
	}
	return w.encoder.Flush()
}

func (w *writer) Close() error {
	e := w.encoder
	if e == nil {
		return ErrClosed
	}
	w.encoder = nil
	err := e.Close()
	e.Reset(nil) // the pool must not hold on to an answer that is long over
	w.pool.Put(e)
	return err
}
