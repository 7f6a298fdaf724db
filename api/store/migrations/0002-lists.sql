-- Lists are read page by page in these orders.
CREATE INDEX users_by_creation ON users (created_at, id);
CREATE INDEX devices_by_name ON devices (name, id) WHERE registered_at IS NOT NULL;
CREATE INDEX devices_by_registration ON devices (registered_at, id) WHERE registered_at IS NOT NULL;
CREATE INDEX codes_by_creation ON codes (created_at, id);
CREATE INDEX codes_by_expiry ON codes (expires_at, id);

-- A machine has nobody behind it and leaves by itself: so many seconds after it has joined.
ALTER TABLE codes ADD COLUMN machine_seconds INTEGER CHECK (machine_seconds > 0);
ALTER TABLE devices ADD COLUMN machine_seconds INTEGER CHECK (machine_seconds > 0);
ALTER TABLE devices ADD COLUMN expires_at TEXT
  CHECK ((expires_at IS NOT NULL) = (machine_seconds IS NOT NULL AND registered_at IS NOT NULL));
CREATE INDEX devices_by_expiry ON devices (expires_at) WHERE expires_at IS NOT NULL;

-- Answers to requests with an Idempotency-Key. `id` and the key of `sealed` come from that key and the caller's token,
-- neither of which is stored.
CREATE TABLE kept_answers (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  expires_at TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX kept_answers_by_expiry ON kept_answers (expires_at);
