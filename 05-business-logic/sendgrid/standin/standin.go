// Package standin stands in for SendGrid on a laptop that has no keys: it takes
// mail as its API does, sends nothing, and shows what it was given.
//
//	POST /v3/mail/send   takes a message
//	GET  /mailbox        what was taken, the newest first; ?to=ada@example.com: of one address
//
// As SendGrid does, it wants a bearer's key, refuses what lacks a sender, a
// receiver, a subject or a text, in its words, and answers 202 with an X-Message-Id.
// It has no idempotency keys, because SendGrid has none: what comes twice is in the
// mailbox twice. Some receivers are its own, at any domain:
//
//	standin-flaky     a 503 for the first message, and for every other one from then on
//	standin-lost      each message is taken, and the first answer and every other is lost
//	standin-refused   no message is taken: 400
//
// It is none of a kind with SendGrid where that is not said: there are no templates,
// attachments, groups or schedules (their fields are taken, and nothing comes of
// them), senders need not be verified, and a request may have 256 KiB and not
// 30 MB. The mailbox is open to whoever can connect, so it belongs on loopback.
//
// In the story, it is the letter box that the waiters practise with.
package standin

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/sendgrid/sendgrid-go/helpers/mail"
)

// TestKey is the key that is accepted unless Config says another.
const TestKey = "SG.standin"

// Bounds, in octets.
const (
	maxRequest = 256 << 10
	maxMailbox = 16 << 20 // of subjects and texts
)

// Config is what a Server works with. The zero Config is fine.
type Config struct {
	// Key is the API key that is accepted. Empty means TestKey.
	Key string
	// Keep is how many messages are kept. The oldest give way, and do so earlier if
	// all have more than 16 MiB. 0 means 1000; it must not be negative.
	Keep int
	// OnMail, unless nil, is told of each message, by the goroutine of its request.
	OnMail func(Message)
}

// Message is one that was taken.
type Message struct {
	ID       string            `json:"id"`
	Received time.Time         `json:"received"`
	From     string            `json:"from"` // as in "The shop" <orders@shop.test>
	To       []string          `json:"to"`   // addresses, those of Cc and Bcc behind
	Subject  string            `json:"subject"`
	Text     string            `json:"text"` // the first content's
	Args     map[string]string `json:"custom_args,omitempty"`
}

func (m Message) size() int { return len(m.Subject) + len(m.Text) + 500 }

// Fault is what shall happen to a request. The zero Fault is none.
type Fault struct {
	// Delay is how long it takes before anything is done. It ends when the client
	// leaves.
	Delay time.Duration
	// Status is the answer, an error. 0 means the right one, unless Hangup.
	Status int
	// Hangup closes the connection. There is no answer.
	Hangup bool
	// Work has the message taken first: only the answer is wrong, or lost.
	Work bool
}

func (f Fault) fails() bool { return f.Hangup || f.Status != 0 }

// Server is an http.Handler. Make one with New. It starts no goroutine, and need not
// be closed.
type Server struct {
	c   Config
	mux *http.ServeMux

	mu      sync.Mutex // guards what follows
	faults  []Fault
	seen    map[string]bool // whether a message to standin-flaky, or -lost, was the first of two
	mailbox []Message       // the newest last
	size    int             // of mailbox
	dropped int             // messages that gave way
}

// New returns a Server that works as c says. err names all faults of c at once.
func New(c Config) (*Server, error) {
	if c.Keep < 0 {
		return nil, fmt.Errorf("standin: Keep is %d, must not be negative", c.Keep)
	}
	c.Key, c.Keep = cmp.Or(c.Key, TestKey), cmp.Or(c.Keep, 1000)
	s := &Server{c: c, mux: http.NewServeMux(), seen: map[string]bool{}}
	s.mux.HandleFunc("POST /v3/mail/send", s.send)
	s.mux.HandleFunc("GET /mailbox", s.show)
	s.mux.HandleFunc("/v3/mail/send", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusMethodNotAllowed, "method not allowed", "")
	})
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "not found", "") })
	return s, nil
}

// Next has the next requests to /v3/mail/send meet faults, one each, in this order.
// What it was told before comes first.
func (s *Server) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Mailbox is what was taken and is still kept, in its order. It is the caller's own.
func (s *Server) Mailbox() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mailbox)
}

// ServeHTTP answers as SendGrid does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// show answers GET /mailbox.
func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	var answer struct {
		Messages []Message `json:"messages"`
		Dropped  int       `json:"dropped"` // so many more gave way
	}
	to := r.URL.Query().Get("to")
	answer.Messages = []Message{} // an empty list, not null
	for _, m := range slices.Backward(s.Mailbox()) {
		if to == "" || slices.Contains(m.To, to) {
			answer.Messages = append(answer.Messages, m)
		}
	}
	s.mu.Lock()
	answer.Dropped = s.dropped
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	_ = out.Encode(answer) // to a client that may be gone
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	fault := s.fault()
	// Read before anything waits: only then does net/http notice a client that leaves.
	body, unread := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // net/http closes the connection
		}
	}
	if fault.fails() && !fault.Work {
		fail(w, fault)
		return
	}
	message, status, why, field := s.read(r, body, unread)
	if status != 0 {
		refuse(w, status, why, field)
		return
	}
	if !fault.fails() {
		fault = s.ownFault(message.To)
	}
	if !fault.fails() || fault.Work {
		s.keep(message)
	}
	if fault.fails() {
		fail(w, fault)
		return
	}
	w.Header().Set("X-Message-Id", message.ID)
	w.WriteHeader(http.StatusAccepted)
}

// read is the message of a request, whose body was read so far as unread lets it be.
// status is 0 if it is as it should be.
func (s *Server) read(r *http.Request, body []byte, unread error) (m Message, status int, why, field string) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(key), []byte(s.c.Key)) != 1 {
		return m, http.StatusUnauthorized, "The provided authorization grant is invalid, expired, or revoked", ""
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return m, http.StatusUnsupportedMediaType, "Content-Type should be application/json.", ""
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(unread, &tooLarge) {
		return m, http.StatusRequestEntityTooLarge, "The request is too large.", ""
	}
	var given sdk.SGMailV3
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	if unread != nil || in.Decode(&given) != nil || in.Decode(new(any)) != io.EOF {
		return m, http.StatusBadRequest, "Bad Request", ""
	}
	if why, field = faultOf(&given); why != "" {
		return m, http.StatusBadRequest, why, field
	}
	p := given.Personalizations[0]
	m = Message{
		ID: rand.Text(), Received: time.Now().UTC(), From: address(given.From), Subject: cmp.Or(p.Subject, given.Subject),
		Text: given.Content[0].Value, Args: given.CustomArgs,
	}
	for _, to := range receivers(p) {
		m.To = append(m.To, to.Address)
	}
	return m, 0, "", ""
}

// faultOf says, in SendGrid's words, what is wrong with a message, and with which of
// its fields.
func faultOf(m *sdk.SGMailV3) (why, field string) {
	switch {
	case m.From == nil || m.From.Address == "":
		return `The from object must be provided for every email send. It is an object that requires the email parameter, but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or {"email" : "example@example.com", "name" : "Example Recipient"}.`, "from.email"
	case !valid(m.From):
		return "The from email does not contain a valid address.", "from.email"
	case len(m.Personalizations) == 0 || m.Personalizations[0] == nil:
		return "The personalizations field is required and must have at least one personalization.", "personalizations"
	case len(m.Personalizations) > 1:
		return "The stand-in takes one personalization in a message.", "personalizations"
	case len(m.Personalizations[0].To) == 0:
		return "The to array is required for all personalization objects, and must have at least one email object with a valid email address.", "personalizations.0.to"
	}
	p := m.Personalizations[0]
	seen := map[string]bool{}
	for i, to := range receivers(p) {
		switch {
		case !valid(to) && i < len(p.To):
			return "Does not contain a valid address.", fmt.Sprintf("personalizations.0.to.%d.email", i)
		case !valid(to):
			return "Does not contain a valid address.", "personalizations.0"
		case seen[strings.ToLower(to.Address)]:
			return "Each email address in the personalization block should be unique between to, cc, and bcc.", "personalizations.0"
		case strings.HasPrefix(to.Address, "standin-refused@"):
			return "Does not contain a valid address.", fmt.Sprintf("personalizations.0.to.%d.email", i)
		}
		seen[strings.ToLower(to.Address)] = true
	}
	switch {
	case m.Subject == "" && p.Subject == "":
		return "The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined.", "subject"
	case len(m.Content) == 0:
		return "Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block. We typically suggest both text/plain and text/html blocks are included, but only one block is required.", "content"
	}
	for i, part := range m.Content {
		switch {
		case part == nil || part.Value == "":
			return "The content value must be a string at least one character in length.", fmt.Sprintf("content.%d.value", i)
		case part.Type == "":
			return "The content type must be a string at least one character in length.", fmt.Sprintf("content.%d.type", i)
		}
	}
	size := 0
	for name, value := range m.CustomArgs {
		size += len(name) + len(value)
	}
	if size > 10_000 {
		return "The custom_args object may not be longer than 10000 bytes.", "custom_args"
	}
	return "", ""
}

// receivers are all of a message, those of To first.
func receivers(p *sdk.Personalization) []*sdk.Email { return slices.Concat(p.To, p.CC, p.BCC) }

func valid(e *sdk.Email) bool {
	if e == nil {
		return false
	}
	a, err := mail.ParseAddress(e.Address)
	return err == nil && a.Address == e.Address && !strings.ContainsAny(e.Name, "\r\n")
}

func address(e *sdk.Email) string { return (&mail.Address{Name: e.Name, Address: e.Address}).String() }

// keep puts m into the mailbox, and makes room for it.
func (s *Server) keep(m Message) {
	s.mu.Lock()
	s.mailbox, s.size = append(s.mailbox, m), s.size+m.size()
	for len(s.mailbox) > s.c.Keep || s.size > maxMailbox && len(s.mailbox) > 1 {
		s.size -= s.mailbox[0].size()
		s.mailbox[0] = Message{} // the array behind still holds it
		s.mailbox = s.mailbox[1:]
		s.dropped++
	}
	s.mu.Unlock()
	if s.c.OnMail != nil {
		s.c.OnMail(m)
	}
}

// fault takes the next fault.
func (s *Server) fault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return Fault{}
	}
	next := s.faults[0]
	s.faults = s.faults[1:]
	return next
}

// ownFault is what a message to one of the stand-in's own addresses meets.
func (s *Server) ownFault(to []string) Fault {
	for local, fault := range map[string]Fault{
		"standin-flaky": {Status: http.StatusServiceUnavailable},
		"standin-lost":  {Hangup: true, Work: true},
	} {
		if !slices.ContainsFunc(to, func(address string) bool { return strings.HasPrefix(address, local+"@") }) {
			continue
		}
		s.mu.Lock()
		s.seen[local] = !s.seen[local]
		first := s.seen[local]
		s.mu.Unlock()
		if first {
			return fault
		}
	}
	return Fault{}
}

// fail answers as a fault wants it.
func fail(w http.ResponseWriter, f Fault) {
	if f.Hangup {
		panic(http.ErrAbortHandler)
	}
	refuse(w, f.Status, http.StatusText(f.Status), "")
}

// refuse answers with an error, as SendGrid writes it.
func refuse(w http.ResponseWriter, status int, message, field string) {
	type fault struct {
		Message string  `json:"message"`
		Field   *string `json:"field"`
		Help    *string `json:"help"`
	}
	f := fault{Message: message}
	if field != "" {
		f.Field = &field
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]fault{"errors": {f}}) // to a client that may be gone
}
