-- The policy becomes a document, and all that were ever in force are kept. `mark` is another one each time a document is
-- put in force, also where a revision was undone and came again: what is remembered of a document is known by it.

CREATE TABLE policies (
  revision INTEGER PRIMARY KEY CHECK (revision >= 1),
  document TEXT NOT NULL,
  mark TEXT NOT NULL UNIQUE,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  note TEXT
) STRICT;

CREATE TRIGGER policies_are_never_changed BEFORE UPDATE ON policies
BEGIN SELECT RAISE(ABORT, 'the history of the policy only grows'); END;

CREATE TRIGGER policies_are_never_forgotten BEFORE DELETE ON policies
BEGIN SELECT RAISE(ABORT, 'the history of the policy only grows'); END;

-- The addresses inside the tunnel that fronted services answer at.
CREATE TABLE fronts (service TEXT PRIMARY KEY, address INTEGER NOT NULL UNIQUE) STRICT;

CREATE TRIGGER front_is_nobody BEFORE INSERT ON fronts
WHEN EXISTS (SELECT 1 FROM devices WHERE address = NEW.address)
  OR EXISTS (SELECT 1 FROM nodes WHERE tunnel_address = NEW.address)
BEGIN SELECT RAISE(ABORT, 'a device or a node has this address'); END;

CREATE TRIGGER device_is_no_front BEFORE INSERT ON devices
WHEN EXISTS (SELECT 1 FROM fronts WHERE address = NEW.address)
BEGIN SELECT RAISE(ABORT, 'a service has this address'); END;

CREATE TRIGGER node_is_no_front BEFORE INSERT ON nodes
WHEN EXISTS (SELECT 1 FROM fronts WHERE address = NEW.tunnel_address)
BEGIN SELECT RAISE(ABORT, 'a service has this address'); END;

-- Where the API answers inside the tunnel, as the master was told at its start; and up to when it was looked for grants
-- that have run out.
ALTER TABLE settings ADD COLUMN api_node TEXT;
ALTER TABLE settings ADD COLUMN api_port INTEGER;
ALTER TABLE settings ADD COLUMN run_out_until TEXT NOT NULL DEFAULT '1970-01-01T00:00:00.000Z';
