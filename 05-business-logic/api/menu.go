package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"clicktocode.example/05-business-logic/order"
)

// MenuTime is how long a cache may show a menu. What is left of a dish is as old as
// that: whether there is enough, only the order tells.
const MenuTime = 5 * time.Second

// menuCaching also lets a cache show an old menu for 10 seconds while it asks for the
// new one, and for 10 minutes where it gets none: better an old menu than none.
var menuCaching = fmt.Sprintf("public, max-age=%d, stale-while-revalidate=10, stale-if-error=600", int(MenuTime.Seconds()))

type menu struct {
	order.Menu
	stock order.Stock // or nil
	last  atomic.Pointer[page]
}

// page is a menu as it is sent. Most requests get the one that the last one got.
type page struct {
	sold []order.Dish
	left map[string]int
	text []byte
	tag  string
}

// dish is a dish as it is shown.
type dish struct {
	order.Dish
	Left *int `json:"left,omitempty"` // nil means that nobody knows, 0 that it is sold out
}

// show answers GET and HEAD of /menu:
//
//	{"dishes": [{"id": "ramen", "name": "Ramen with egg", "price": {"amount": 1250, "currency": "EUR"}, "left": 17}]}
//
// Without a stock, or with one that cannot be asked now, no dish says what is left: a
// menu without numbers still sells.
func (m *menu) show(c *gin.Context) {
	ctx := c.Request.Context()
	sold, err := m.Dishes(ctx)
	if err != nil {
		unavailable(c, fmt.Errorf("api: menu: %w", err), "The menu cannot be read at the moment. Try again in a while.")
		return
	}
	var left map[string]int
	if m.stock != nil {
		if left, err = m.stock.Left(ctx); err != nil {
			_ = c.Error(fmt.Errorf("api: menu: stock: %w", err))
			left = nil
		}
	}
	shown := m.last.Load()
	if shown == nil || !slices.Equal(shown.sold, sold) || (shown.left == nil) != (left == nil) || !maps.Equal(shown.left, left) {
		shown = render(sold, left)
		m.last.Store(shown)
	}
	send(c, shown.text, shown.tag, menuCaching)
}

// render writes the menu. A nil left means that nobody knows.
func render(sold []order.Dish, left map[string]int) *page {
	shown := struct {
		Dishes []dish `json:"dishes"`
	}{make([]dish, len(sold))} // an empty list, not null
	for i, d := range sold {
		shown.Dishes[i].Dish = d
		if left != nil {
			n := left[d.ID]
			shown.Dishes[i].Left = &n
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		panic(err) // of strings and numbers
	}
	return &page{slices.Clone(sold), maps.Clone(left), text, entityTag(text)}
}
