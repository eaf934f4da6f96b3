package replica

import "clicktocode.example/05-business-logic/order"

// Menu is what the restaurant sells, and how much of it there is tonight. Both are
// the caller's own. Of mochi there are few: somebody will find it sold out.
func Menu() (dishes []order.Dish, stock map[string]int) {
	stock = map[string]int{}
	add := func(id, name string, price int64, left int) {
		dishes = append(dishes, order.Dish{ID: id, Name: name, Price: order.Money{Amount: price, Currency: "EUR"}})
		stock[id] = left
	}
	add("ramen", "Ramen with egg", 1250, 200)
	add("gyoza", "Gyoza, six of them", 680, 150)
	add("tofu", "Tofu, crisp", 590, 100)
	add("tea", "Pot of green tea", 450, 500)
	add("udon", "Udon, with tempura", 1380, 100)
	add("soba", "Soba, cold", 1120, 100)
	add("curry", "Curry with rice", 1190, 120)
	add("edamame", "Edamame, salted", 490, 150)
	add("miso", "Miso soup", 390, 200)
	add("mochi", "Mochi, three of them", 560, 6)
	return dishes, stock
}
