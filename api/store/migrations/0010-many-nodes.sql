-- What several nodes need: the internal domain and who is asked for all other names, how often the active node is heard,
-- the subnet of the mesh (null until a master that knows of it has started), and the certificate of the authority for the
-- domain, whose key lies beside the database.
ALTER TABLE settings ADD COLUMN domain TEXT NOT NULL DEFAULT 'corp.internal';
ALTER TABLE settings ADD COLUMN upstreams TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(upstreams));
ALTER TABLE settings ADD COLUMN advert_ms INTEGER NOT NULL DEFAULT 200 CHECK (advert_ms > 0);
ALTER TABLE settings ADD COLUMN mesh TEXT;
ALTER TABLE settings ADD COLUMN authority TEXT;

-- The place in the mesh, and what the agent last said of the node. The address in the mesh follows from that in the
-- tunnel.
ALTER TABLE nodes ADD COLUMN mesh_key TEXT;
ALTER TABLE nodes ADD COLUMN mesh_endpoints TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(mesh_endpoints));
ALTER TABLE nodes ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));
ALTER TABLE nodes ADD COLUMN vrrp TEXT CHECK (vrrp IN ('MASTER', 'BACKUP', 'FAULT', 'DEAD'));
ALTER TABLE nodes ADD COLUMN vip INTEGER CHECK (vip IN (0, 1));
ALTER TABLE nodes ADD COLUMN healthy INTEGER CHECK (healthy IN (0, 1));
ALTER TABLE nodes ADD COLUMN reasons TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(reasons));
CREATE UNIQUE INDEX nodes_by_mesh_key ON nodes (mesh_key) WHERE mesh_key IS NOT NULL;

-- A code lets one machine become the node that was named when it was made.
CREATE TABLE node_codes (
  id TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  backing TEXT NOT NULL,
  endpoints TEXT CHECK (json_valid(endpoints)),
  priority INTEGER CHECK (priority BETWEEN 1 AND 254),
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  spent_at TEXT,
  withdrawn_at TEXT,
  public_key TEXT,
  agent_key TEXT,
  CHECK (spent_at IS NULL OR withdrawn_at IS NULL),
  CHECK ((spent_at IS NULL) = (public_key IS NULL) AND (spent_at IS NULL) = (agent_key IS NULL))
) STRICT;
CREATE INDEX node_codes_by_creation ON node_codes (created_at, id);

CREATE TRIGGER spent_node_code_stays_spent BEFORE UPDATE ON node_codes WHEN OLD.spent_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a spent code stays spent'); END;

-- Changes from one node to another, as devices have felt them. The names stay when nodes and devices go.
CREATE TABLE outages (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  device_id TEXT NOT NULL,
  device TEXT NOT NULL,
  from_node TEXT NOT NULL,
  to_node TEXT NOT NULL,
  cause TEXT NOT NULL,
  gap_ms INTEGER NOT NULL CHECK (gap_ms >= 0),
  reported_by TEXT NOT NULL,
  UNIQUE (device_id, at)
) STRICT;
CREATE INDEX outages_of_device ON outages (device_id, number);
CREATE INDEX outages_from_node ON outages (from_node, number);
