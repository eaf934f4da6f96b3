-- +goose Up
-- Work that is to be done later, written in the transaction that makes it due. See chapter 7.
CREATE TABLE outbox (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key      text    NOT NULL UNIQUE CHECK (key <> ''), -- makes several sendings one message
    "to"     text    NOT NULL,
    subject  text    NOT NULL,
    text     text    NOT NULL,
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due      timestamptz NOT NULL DEFAULT now(), -- not before then
    created  timestamptz NOT NULL DEFAULT now(),
    sent     timestamptz, -- when; it stays a while, so that its key is known
    dead     boolean NOT NULL DEFAULT false, -- set aside: it was tried too often, or can never be sent
    error    text    NOT NULL DEFAULT ''     -- of the last attempt
);
CREATE INDEX outbox_due ON outbox (due, id) WHERE sent IS NULL AND NOT dead;
CREATE INDEX outbox_sent ON outbox (sent) WHERE sent IS NOT NULL;
CREATE INDEX outbox_dead ON outbox (id) WHERE dead; -- few, and counted again and again

-- +goose Down
DROP TABLE outbox;
