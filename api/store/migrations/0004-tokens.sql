-- Several tokens a user: named, with an end, held to a permission and to areas (null: all). What is there already has
-- neither end nor limits, as it was made.
ALTER TABLE api_tokens RENAME TO unnamed_tokens;

CREATE TABLE api_tokens (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  permission TEXT NOT NULL CHECK (permission IN ('owner', 'operator', 'auditor')),
  areas TEXT CHECK (json_valid(areas)),
  created_at TEXT NOT NULL,
  expires_at TEXT,
  last_used_at TEXT
) STRICT;

-- The id is a UUID of version 7, whose first 48 bits are the time.
INSERT INTO api_tokens (id, hash, user_id, name, permission, created_at)
SELECT
  substr(made, 1, 8) || '-' || substr(made, 9, 4) || '-7' || substr(dice, 1, 3) || '-8' || substr(dice, 4, 3) || '-'
    || substr(dice, 7, 12),
  hash, user_id, 'first', 'owner', created_at
FROM (
  SELECT *, printf('%012x', unixepoch(created_at) * 1000) AS made, lower(hex(randomblob(9))) AS dice
  FROM unnamed_tokens
);
DROP TABLE unnamed_tokens;

CREATE INDEX api_tokens_of_user ON api_tokens (user_id);
CREATE INDEX api_tokens_by_creation ON api_tokens (created_at, id);
