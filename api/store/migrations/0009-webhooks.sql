-- Where events go. `sealed` holds the secrets that sign, closed with a key that is not in the database.
CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  events TEXT CHECK (json_valid(events)),
  enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  disabled_because TEXT CHECK (disabled_because IN ('gone')),
  sealed BLOB NOT NULL,
  rotated_until TEXT,
  created_at TEXT NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
  next_attempt_at TEXT NOT NULL
) STRICT;

-- Written in the transaction of what happened. Each webhook gets its events in the order of `number`.
CREATE TABLE webhook_deliveries (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  payload TEXT NOT NULL CHECK (json_valid(payload)),
  created_at TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
  attempts INTEGER NOT NULL DEFAULT 0,
  last_attempt_at TEXT,
  last_status INTEGER,
  problem TEXT,
  done_at TEXT,
  UNIQUE (webhook_id, event_id),
  CHECK ((done_at IS NULL) = (state = 'waiting'))
) STRICT;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook_id, number) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, number);
CREATE INDEX webhook_deliveries_done ON webhook_deliveries (done_at) WHERE done_at IS NOT NULL;

-- What webhooks were told last of the node's channel, so that a restart of the master tells nothing new.
ALTER TABLE nodes ADD COLUMN told_connected INTEGER NOT NULL DEFAULT 0 CHECK (told_connected IN (0, 1));
