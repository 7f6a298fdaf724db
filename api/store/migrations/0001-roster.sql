-- Who and what exists. Moments are RFC 3339 text in UTC with milliseconds, so that they sort as text;
-- addresses are unsigned 32-bit numbers, so that the lowest free one is found by order.

CREATE TABLE settings (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  revision INTEGER NOT NULL CHECK (revision >= 0),
  revised_at TEXT NOT NULL,
  pool TEXT NOT NULL,
  public_url TEXT NOT NULL,
  policy TEXT NOT NULL CHECK (json_valid(policy))
) STRICT;

CREATE TRIGGER revision_never_falls BEFORE UPDATE ON settings
WHEN NEW.epoch < OLD.epoch OR (NEW.epoch = OLD.epoch AND NEW.revision < OLD.revision)
BEGIN SELECT RAISE(ABORT, 'the revision never falls'); END;

-- Written by the health check, which thereby notices a full or read-only disk.
CREATE TABLE pulse (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL) STRICT;

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  permission TEXT NOT NULL CHECK (permission IN ('owner', 'operator', 'auditor', 'none')),
  disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE api_tokens (
  hash TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at TEXT NOT NULL
) STRICT;

-- A code outlives its user: that it was spent is never forgotten.
CREATE TABLE codes (
  id TEXT PRIMARY KEY,
  user_id TEXT REFERENCES users (id) ON DELETE SET NULL,
  hash TEXT NOT NULL UNIQUE,
  backing TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  spent_at TEXT,
  withdrawn_at TEXT,
  CHECK (spent_at IS NULL OR withdrawn_at IS NULL)
) STRICT;
CREATE INDEX codes_of_user ON codes (user_id);

CREATE TRIGGER spent_stays_spent BEFORE UPDATE ON codes
WHEN OLD.spent_at IS NOT NULL AND NEW.spent_at IS NOT OLD.spent_at
BEGIN SELECT RAISE(ABORT, 'a spent code stays spent'); END;

CREATE TRIGGER spent_is_kept BEFORE DELETE ON codes WHEN OLD.spent_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a spent code is kept'); END;

-- A device is reserved from the lease on, and registered (registered_at) once it has confirmed.
-- listed_revision is the revision at which it last entered the snapshot, null while it is not in it.
CREATE TABLE devices (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
  code_id TEXT NOT NULL UNIQUE REFERENCES codes (id) ON DELETE RESTRICT,
  name TEXT NOT NULL,
  platform TEXT NOT NULL CHECK (platform IN ('linux', 'macos', 'windows')),
  public_key TEXT NOT NULL UNIQUE,
  credential_key TEXT NOT NULL UNIQUE,
  address INTEGER NOT NULL UNIQUE,
  leased_at TEXT NOT NULL,
  leased_until TEXT NOT NULL,
  registered_at TEXT,
  listed_revision INTEGER,
  bundle_revision INTEGER NOT NULL,
  bundle_issued_at TEXT NOT NULL,
  bundle_content TEXT NOT NULL CHECK (json_valid(bundle_content)),
  CHECK (listed_revision IS NULL OR registered_at IS NOT NULL)
) STRICT;
CREATE INDEX devices_of_user ON devices (user_id);

CREATE TABLE nodes (
  name TEXT PRIMARY KEY,
  public_key TEXT NOT NULL UNIQUE,
  agent_key TEXT NOT NULL UNIQUE,
  endpoints TEXT NOT NULL CHECK (json_valid(endpoints)),
  tunnel_address INTEGER NOT NULL UNIQUE,
  priority INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 254),
  added_revision INTEGER NOT NULL,
  applied_epoch INTEGER,
  applied_revision INTEGER,
  problem TEXT,
  seen_at TEXT
) STRICT;

-- Addresses that somebody gave up at this revision; free again once every node has applied it.
CREATE TABLE resting_addresses (address INTEGER PRIMARY KEY, revision INTEGER NOT NULL) STRICT;

-- A key or an address means one thing across both tables.
CREATE TRIGGER device_is_no_node BEFORE INSERT ON devices
WHEN EXISTS (
  SELECT 1 FROM nodes
  WHERE public_key = NEW.public_key OR agent_key = NEW.credential_key OR tunnel_address = NEW.address
)
BEGIN SELECT RAISE(ABORT, 'a node has this key or address'); END;

CREATE TRIGGER node_is_no_device BEFORE INSERT ON nodes
WHEN EXISTS (
  SELECT 1 FROM devices
  WHERE public_key = NEW.public_key OR credential_key = NEW.agent_key OR address = NEW.tunnel_address
)
BEGIN SELECT RAISE(ABORT, 'a device has this key or address'); END;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  act TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL CHECK (json_valid(detail))
) STRICT;
CREATE INDEX audit_by_act ON audit (act, subject);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;

CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
