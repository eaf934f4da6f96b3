// The shop's page: fetches the menu, and orders what is clicked.
"use strict";

const note = document.getElementById("note");

function say(text, fault = false) {
  note.textContent = text;
  note.classList.toggle("fault", fault);
}

// sentence ends text as one: a browser's own words have no full stop.
function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

// Amounts are in the currency's smallest unit: 1250 of EUR are 12.50 €.
function price({ amount, currency }) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

// Who orders, as a token says: null until there is one. It is lost with the page, and no
// other page can read it.
let token = null;

// ask returns the answer's JSON, and throws what to tell the customer otherwise. Who
// orders needs a token first, a guest's: where a shop has a login, it would stand here.
// An empty one means that the shop does not mind who it is. One that the shop does not
// accept any more, 401, is fetched anew.
async function ask(url, options = {}, again = true) {
  if (options.method === "POST" && url !== "/session") {
    token ??= (await ask("/session", { method: "POST" })).token;
  }
  const headers = token ? { ...options.headers, Authorization: `Bearer ${token}` } : options.headers;
  const answer = await fetch(url, { ...options, headers, signal: AbortSignal.timeout(10_000) });
  if (answer.status === 401 && again && token) {
    token = null;
    return ask(url, options, false);
  }
  const json = (answer.headers.get("Content-Type") ?? "").includes("json") ? await answer.json() : {};
  if (answer.ok) return json;
  const fault = new Error(json.detail ?? json.title ?? `The shop answers ${answer.status}`);
  // The payment was declined, or a dish is sold out: that is the answer to this order
  // for good. After any other fault, it may have been placed, or may yet be.
  fault.final = answer.status === 402 || (answer.status === 409 && String(json.type).endsWith("/sold-out"));
  throw fault;
}

// order sends one dish. A key makes it one order, however often it is sent: if
// an answer is lost on its way, the same key asks for the same order. Once it is known
// what became of that, the next click is another order, and has another key.
async function order(dish, button) {
  button.dataset.key ??= crypto.randomUUID();
  button.disabled = true;
  say(`Ordering: ${dish.name}.`);
  try {
    const placed = await ask("/orders", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": button.dataset.key },
      body: JSON.stringify({ lines: [{ dish: dish.id, quantity: 1 }] }),
    });
    delete button.dataset.key;
    const next = placed.state === "pending" ? "Your bank is still at it: this takes a moment." : "The kitchen is at it.";
    say(`Order ${placed.id}: ${dish.name}, ${price(placed.total)}. ${next}`);
  } catch (fault) {
    if (fault.final) {
      delete button.dataset.key;
      say(`${dish.name} was not ordered. ${sentence(fault.message)}`, true);
    } else {
      say(`${dish.name} was not confirmed. ${sentence(fault.message)} Try again: it will be ordered once.`, true);
    }
  } finally {
    button.disabled = false;
  }
}

async function show() {
  const menu = document.getElementById("menu");
  const blank = document.getElementById("dish");
  try {
    const { dishes } = await ask("/menu");
    menu.replaceChildren(...dishes.map((dish) => {
      const row = blank.content.cloneNode(true);
      row.querySelector(".name").textContent = dish.name;
      row.querySelector(".price").textContent = price(dish.price);
      const button = row.querySelector("button");
      button.setAttribute("aria-label", `Buy now: ${dish.name}`);
      button.addEventListener("click", () => order(dish, button));
      return row;
    }));
    say(dishes.length ? "What will it be?" : "The kitchen is closed.");
  } catch (fault) {
    say(`The menu did not come. ${sentence(fault.message)} Reload to try again.`, true);
  } finally {
    menu.removeAttribute("aria-busy");
  }
}

show();
