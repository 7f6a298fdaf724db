-- Each row of the audit log holds a hash over itself and the row before. The rows that are there are taken over by the
-- code that belongs to this step: SQLite has no SHA-256.
DROP TRIGGER audit_is_never_changed;
DROP TRIGGER audit_is_never_shortened;
DROP INDEX audit_by_act;
ALTER TABLE audit RENAME TO unchained_audit;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  act TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL CHECK (json_valid(detail)),
  hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE INDEX audit_by_act ON audit (act, subject, at);
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_time ON audit (at);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;

CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
