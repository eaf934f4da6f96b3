-- What store.Create sends, for pgbench -M extended: the same statements, in one
-- transaction, with as many arguments. The texts among them come by -D.
\set n random(1, 9000000000000000)
BEGIN;
INSERT INTO orders (id, customer, state, currency, subtotal, discount, tax, total, method, payment, version, created, updated)
VALUES (:n, :customer, :state, :currency, :subtotal, :discount, :tax, :total, :method, :payment, :version, :created, :updated);
INSERT INTO order_lines (order_id, position, dish, name, quantity, unit, total)
SELECT :n::text, l.n, l.dish, l.name, l.quantity, l.unit, l.total
FROM unnest(:dishes::text[], :names::text[], :quantities::bigint[], :units::bigint[], :totals::bigint[]) WITH ORDINALITY AS l (dish, name, quantity, unit, total, n);
SELECT released FROM reservations WHERE order_id = :n::text FOR SHARE;
COMMIT;
