-- What a bundle says follows from what else is stored; kept is only by what a change of it is noticed.
ALTER TABLE devices DROP COLUMN bundle_content;
ALTER TABLE devices ADD COLUMN bundle_digest TEXT NOT NULL DEFAULT '';

-- Bundles tell of the grants of this moment, up to which it was looked for grants that have run out.
ALTER TABLE settings RENAME COLUMN run_out_until TO granted_at;
