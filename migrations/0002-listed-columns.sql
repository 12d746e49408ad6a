-- What lists show stands before the manifest in its row, and in indexes of its own: a list reads no manifest.
-- The manifest stays the truth; columns are filled from it by whoever writes it. (Generated ones would fill themselves, but
-- SQLite then looks for them in the row, whatever the index holds.) Sources have numbers, since their names would stand in
-- every entry of every index.
CREATE TABLE listings_next (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL UNIQUE,
  validator TEXT,
  fetched_at TEXT NOT NULL
);

CREATE TABLE offers_next (
  listing INTEGER NOT NULL REFERENCES listings_next (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  uuid TEXT NOT NULL,
  name TEXT,
  version TEXT,
  os TEXT,
  type TEXT,
  published_at TEXT,
  manifest TEXT NOT NULL
);

INSERT INTO listings_next (source, validator, fetched_at) SELECT source, validator, fetched_at FROM listings;
INSERT INTO offers_next
  SELECT listings_next.id, offers.position, offers.uuid, manifest ->> '$.name', manifest ->> '$.version',
    manifest ->> '$.os', manifest ->> '$.type', manifest ->> '$.published_at', manifest
  FROM offers JOIN listings_next USING (source);

DROP TABLE offers;
DROP TABLE listings;
ALTER TABLE listings_next RENAME TO listings;
ALTER TABLE offers_next RENAME TO offers;

CREATE UNIQUE INDEX offers_by_uuid ON offers (uuid, listing);
CREATE INDEX offers_in_order ON offers (listing, position, uuid, name, version, os, type, published_at);
CREATE INDEX offers_by_date ON offers (listing, published_at, position, uuid, name, version, os, type);
CREATE INDEX offers_by_name ON offers (name, version, listing, uuid);
CREATE INDEX offers_by_version ON offers (version, listing);
CREATE INDEX offers_by_os ON offers (os, listing);
CREATE INDEX offers_by_type ON offers (type, listing);

CREATE TABLE images_next (
  uuid TEXT PRIMARY KEY,
  pool TEXT NOT NULL,
  local_name TEXT NOT NULL,
  name TEXT,
  version TEXT,
  os TEXT,
  type TEXT,
  published_at TEXT,
  origin TEXT,
  source TEXT,
  ignored INTEGER,
  instances TEXT,
  record TEXT NOT NULL,
  UNIQUE (pool, local_name)
);

INSERT INTO images_next
  SELECT uuid, pool, local_name, record ->> '$.manifest.name', record ->> '$.manifest.version',
    record ->> '$.manifest.os', record ->> '$.manifest.type', record ->> '$.manifest.published_at',
    record ->> '$.manifest.origin', record ->> '$.source', record ->> '$.ignored', record ->> '$.instances', record
  FROM images;
DROP TABLE images;
ALTER TABLE images_next RENAME TO images;

CREATE INDEX images_by_origin ON images (origin);
CREATE INDEX images_by_name ON images (name, version, uuid);
CREATE INDEX images_listed ON images
  (uuid, pool, local_name, name, version, os, type, published_at, origin, source, ignored, instances);
