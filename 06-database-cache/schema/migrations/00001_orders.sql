-- +goose Up
-- IDs are compared octet by octet (COLLATE "C"), as the order service compares them:
-- by the database's own language, a page would end elsewhere than the cursor says.
CREATE TABLE dishes (
    id       text    COLLATE "C" PRIMARY KEY CHECK (id <> ''),
    position integer NOT NULL, -- on the menu
    name     text    NOT NULL,
    price    bigint  NOT NULL CHECK (price >= 0), -- of one, without tax, in the currency's smallest unit
    currency text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    stock    integer NOT NULL CONSTRAINT dishes_stock_not_negative CHECK (stock >= 0) -- how many are left
);

CREATE TABLE orders (
    id       text    COLLATE "C" CONSTRAINT orders_pkey PRIMARY KEY CONSTRAINT orders_id CHECK (id <> ''),
    customer text    NOT NULL,
    state    text    NOT NULL CONSTRAINT orders_state CHECK (state IN ('pending', 'paid', 'preparing', 'dispatched', 'delivered', 'cancelling', 'cancelled')),
    currency text    NOT NULL CONSTRAINT orders_currency CHECK (currency ~ '^[A-Z]{3}$'), -- of all amounts, those of the lines included
    subtotal bigint  NOT NULL,
    discount bigint  NOT NULL,
    tax      bigint  NOT NULL,
    total    bigint  NOT NULL,
    method   text    NOT NULL,
    payment  text    NOT NULL,
    version  integer NOT NULL CONSTRAINT orders_version CHECK (version >= 1),
    created  timestamptz NOT NULL,
    updated  timestamptz NOT NULL,
    CONSTRAINT orders_totals CHECK (discount >= 0 AND tax >= 0 AND total = subtotal - discount + tax)
);
-- One customer's page, and everybody's, newest first: both are read from the index
-- in their order, wherever the page begins.
CREATE INDEX orders_by_customer ON orders (customer, created DESC, id DESC);
CREATE INDEX orders_by_created ON orders (created DESC, id DESC);
-- What is not settled yet, and asked about again and again: few, whatever the number of orders.
CREATE INDEX orders_unsettled ON orders (state, created DESC, id DESC) WHERE state IN ('pending', 'cancelling');

CREATE TABLE order_lines (
    order_id text    COLLATE "C" NOT NULL REFERENCES orders ON DELETE CASCADE,
    position integer NOT NULL CHECK (position >= 0),
    dish     text    COLLATE "C" NOT NULL, -- no reference: the menu may change, an order does not
    name     text    NOT NULL,
    quantity integer NOT NULL CONSTRAINT order_lines_quantity CHECK (quantity BETWEEN 1 AND 100),
    unit     bigint  NOT NULL CONSTRAINT order_lines_unit CHECK (unit >= 0), -- the price of one
    total    bigint  NOT NULL,
    PRIMARY KEY (order_id, position),
    CONSTRAINT order_lines_total CHECK (total = unit * quantity),
    CONSTRAINT order_lines_dish_once UNIQUE (order_id, dish)
);

-- What each order has taken out of the stock. An order that was released may take no
-- more, so its row stays; made tells those of today from those that nobody asks for.
CREATE TABLE reservations (
    order_id text    COLLATE "C" CONSTRAINT reservations_pkey PRIMARY KEY CHECK (order_id <> ''),
    released boolean NOT NULL DEFAULT false,
    made     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE reserved_items (
    order_id text    COLLATE "C" NOT NULL REFERENCES reservations ON DELETE CASCADE,
    dish     text    COLLATE "C" NOT NULL REFERENCES dishes,
    quantity integer NOT NULL CHECK (quantity >= 1),
    PRIMARY KEY (order_id, dish)
);

-- +goose Down
DROP TABLE reserved_items, reservations, order_lines, orders, dishes;
