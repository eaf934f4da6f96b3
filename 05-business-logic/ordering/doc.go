// Package ordering is the order service: it puts together what chapter 5's
// exercises made, and is what package controller asks for. pricing, idempotency,
// placeorder and orderstate decide what is right; here stands who calls them, in
// which turn, and who looks after what was left open.
//
//	controller ─► Place ─► placeorder ─► menu, stock, payments, orders
//	              Cancel, Advance, Get, List        ▲
//	webhook ────► SettlePayment                     │
//	loop ───────► Settle ───────────────────────────┘
//	              mail ◄─ what has become Paid
//
// Stock, money and orders are kept by three parties, any of which may fail or be
// silent between two steps. What is open is found again in three places:
//
//   - In the orders. Pending: the charge's outcome is unknown, and Settle asks again
//     under the same key. Cancelling: Settle goes on refunding and releasing until
//     both are done. This outlives the process.
//   - In this process's memory: orders that may have been saved or not, and what
//     could not be undone (see leftover). Settle goes on with them, and so does the
//     same order when it is placed again. This is lost when the process dies.
//   - At the payment provider, who tells by webhook of each payment, for days, until
//     the answer is 2xx. A payment whose order is not there is refunded. So what
//     memory loses costs nobody money. It may cost stock: dishes that were reserved
//     for an order that was never saved stay reserved until it is placed again.
//
// The trade-off is that of placeorder: an order is saved last. Who saves it first,
// as Pending, needs neither the second place nor the third, and pays with a write
// more for each order, and with orders in the books that nobody has paid.
//
// That one order is placed by one caller at a time holds within a process. Two
// replicas that place the same order at once get the same one, unless one of them
// fails meanwhile: what it undoes is the other's, too. Who runs several needs a place
// that decides between them, as chapter 6's store does: of saving an order and
// releasing its stock, whoever comes second is refused.
//
// In the story, this is the head chef, who cooks nothing, and forgets nothing.
package ordering
