// Package kitchen is a replica of the shop as it is until chapter 5 brings the
// chefs: it has a menu, and takes orders without cooking them. Its answers have
// the shape that they will have then.
package kitchen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// MenuTime is how long a menu may be shown from a cache.
const MenuTime = 30 * time.Second

// Money is an amount in the currency's smallest unit: {1250, "EUR"} are 12.50 €.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Dish is a line of the menu.
type Dish struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Price Money  `json:"price"`
}

var menu = []Dish{
	{"ramen", "Ramen with egg", Money{1250, "EUR"}},
	{"gyoza", "Gyoza, six of them", Money{680, "EUR"}},
	{"tofu", "Tofu, crisp", Money{590, "EUR"}},
	{"tea", "Pot of green tea", Money{450, "EUR"}},
	{"udon", "Udon, with tempura", Money{1380, "EUR"}},
	{"soba", "Soba, cold", Money{1120, "EUR"}},
	{"curry", "Curry with rice", Money{1190, "EUR"}},
	{"edamame", "Edamame, salted", Money{490, "EUR"}},
	{"miso", "Miso soup", Money{390, "EUR"}},
	{"mochi", "Mochi, three of them", Money{560, "EUR"}},
}

// menuText is the menu as it is sent, and menuTag its entity tag: the same in each
// replica, so that a cache may ask any of them whether it has changed.
var menuText, menuTag = func() ([]byte, string) {
	text := encode(map[string]any{"dishes": menu})
	sum := sha256.Sum256(text)
	return text, `"` + hex.EncodeToString(sum[:8]) + `"`
}()

// maxOrder is how large an order may be, in octets; maxLines and maxQuantity
// bound what is in it.
const maxOrder, maxLines, maxQuantity = 64 << 10, 100, 100

type kitchen struct {
	name   string
	placed atomic.Int64
}

// New returns a replica that goes by name.
//
//	GET /healthz   200 whenever it can say so
//	GET /menu      the dishes, which a cache may keep for MenuTime
//	POST /session  {"token": ""}: it is all the same who orders, until chapter 4
//	POST /orders   {"lines": [{"dish": "ramen", "quantity": 1}]} → 201
//	/echo          the request as it arrived, with any method
func New(name string) http.Handler {
	k := &kitchen{name: name}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "well") })
	mux.HandleFunc("GET /menu", k.menu)
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		k.answer(w, http.StatusCreated, map[string]any{"token": ""})
	})
	mux.HandleFunc("POST /orders", k.order)
	mux.HandleFunc("/echo", k.echo)
	return mux
}

func (k *kitchen) menu(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d, stale-while-revalidate=10, stale-if-error=600", int(MenuTime.Seconds())))
	h.Set("Content-Type", "application/json")
	h.Set("ETag", menuTag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(menuText))
}

// echo shows the request as it arrived here, for whoever wants to know what the
// hops before have done to it.
func (k *kitchen) echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	k.answer(w, http.StatusOK, map[string]any{
		"kitchen": k.name, "process": os.Getpid(), "from": r.RemoteAddr, "method": r.Method, "target": r.RequestURI, "host": r.Host, "header": r.Header,
	})
}

func (k *kitchen) order(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	var order struct {
		Lines []struct {
			Dish     string `json:"dish"`
			Quantity int64  `json:"quantity"`
		} `json:"lines"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&order); err != nil {
		status := http.StatusUnprocessableEntity
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		k.refuse(w, status, `send JSON such as {"lines": [{"dish": "ramen", "quantity": 1}]}`)
		return
	}
	total := Money{Currency: menu[0].Price.Currency}
	for _, line := range order.Lines {
		dish := find(line.Dish)
		if dish == nil || line.Quantity < 1 || line.Quantity > maxQuantity {
			k.refuse(w, http.StatusUnprocessableEntity, fmt.Sprintf("%d of dish %q: GET /menu has the dishes, and the quantity is 1 to %d", line.Quantity, line.Dish, maxQuantity))
			return
		}
		total.Amount += line.Quantity * dish.Price.Amount
	}
	if len(order.Lines) == 0 || len(order.Lines) > maxLines {
		k.refuse(w, http.StatusUnprocessableEntity, fmt.Sprintf("an order has 1 to %d lines", maxLines))
		return
	}
	id := k.name + "-" + strconv.FormatInt(k.placed.Add(1), 10)
	w.Header().Set("Location", "/orders/"+id)
	k.answer(w, http.StatusCreated, map[string]any{"id": id, "state": "accepted", "total": total})
}

func find(id string) *Dish {
	for i := range menu {
		if menu[i].ID == id {
			return &menu[i]
		}
	}
	return nil
}

// refuse answers with a problem (RFC 9457) whose detail says what to send.
func (k *kitchen) refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	k.answer(w, status, map[string]any{"title": "This order cannot be cooked", "status": status, "detail": detail})
}

func (k *kitchen) answer(w http.ResponseWriter, status int, v any) {
	text := encode(v)
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // to a client that may be gone
}

func encode(v any) []byte {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // of types that we wrote
	}
	return append(text, '\n')
}
