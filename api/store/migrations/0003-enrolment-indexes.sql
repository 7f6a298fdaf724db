-- What an enrolment looks for, found without reading every device.

CREATE INDEX devices_on_lease ON devices (leased_until) WHERE registered_at IS NULL;

-- No address for devices below this one is free; where the search for the lowest free one begins.
CREATE TABLE address_search (id INTEGER PRIMARY KEY CHECK (id = 1), first INTEGER NOT NULL) STRICT;
INSERT INTO address_search (id, first) VALUES (1, 0);

CREATE TRIGGER search_from_device AFTER DELETE ON devices
BEGIN UPDATE address_search SET first = OLD.address WHERE first > OLD.address; END;

CREATE TRIGGER search_from_moved_device AFTER UPDATE OF address ON devices
BEGIN UPDATE address_search SET first = OLD.address WHERE first > OLD.address; END;

CREATE TRIGGER search_from_node AFTER DELETE ON nodes
BEGIN UPDATE address_search SET first = OLD.tunnel_address WHERE first > OLD.tunnel_address; END;

CREATE TRIGGER search_from_rested AFTER DELETE ON resting_addresses
BEGIN UPDATE address_search SET first = OLD.address WHERE first > OLD.address; END;

CREATE TRIGGER search_from_pool AFTER UPDATE OF pool ON settings
BEGIN UPDATE address_search SET first = 0; END;
