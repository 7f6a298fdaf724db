-- A node has shown a snapshot of ours that is newer than this database: an older copy of it, or another life, is what we
-- are. Nothing changes any more until a promotion begins a new epoch.
ALTER TABLE settings ADD COLUMN superseded TEXT CHECK (superseded IS NULL OR json_valid(superseded));

CREATE TRIGGER superseded_stands_still BEFORE UPDATE OF revision ON settings
WHEN OLD.superseded IS NOT NULL AND NEW.epoch = OLD.epoch
BEGIN SELECT RAISE(ABORT, 'a node has seen a newer master'); END;

-- Each restore and each promotion begins a life of the database: what from, and what nodes knew that the copy did not.
CREATE TABLE lives (
  epoch INTEGER PRIMARY KEY,
  cause TEXT NOT NULL CHECK (cause IN ('restore', 'promote')),
  began_at TEXT NOT NULL,
  from_epoch INTEGER NOT NULL,
  from_revision INTEGER NOT NULL,
  copied_at TEXT NOT NULL,
  witnessed_epoch INTEGER NOT NULL,
  witnessed_revision INTEGER NOT NULL,
  aftermath TEXT NOT NULL CHECK (json_valid(aftermath)),
  CHECK (epoch > from_epoch)
) STRICT;

-- The newest version that each node has shown in this life.
CREATE TABLE witnesses (node TEXT PRIMARY KEY, epoch INTEGER NOT NULL, revision INTEGER NOT NULL) STRICT;
