-- Offers: what each source listed when it was last asked. The manifest text is the truth; the generated
-- columns are its index.
CREATE TABLE listings (
  source TEXT PRIMARY KEY,
  validator TEXT,
  fetched_at TEXT NOT NULL
);

CREATE TABLE offers (
  source TEXT NOT NULL REFERENCES listings (source) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  uuid TEXT NOT NULL,
  manifest TEXT NOT NULL,
  name TEXT GENERATED ALWAYS AS (json_extract(manifest, '$.name')) VIRTUAL,
  version TEXT GENERATED ALWAYS AS (json_extract(manifest, '$.version')) VIRTUAL,
  published_at TEXT GENERATED ALWAYS AS (json_extract(manifest, '$.published_at')) VIRTUAL,
  PRIMARY KEY (source, uuid)
);

CREATE INDEX offers_by_name ON offers (name, version);

-- Installed images: an index of the record files.
CREATE TABLE images (
  uuid TEXT PRIMARY KEY,
  pool TEXT NOT NULL,
  local_name TEXT NOT NULL,
  record TEXT NOT NULL,
  name TEXT GENERATED ALWAYS AS (json_extract(record, '$.manifest.name')) VIRTUAL,
  version TEXT GENERATED ALWAYS AS (json_extract(record, '$.manifest.version')) VIRTUAL,
  origin TEXT GENERATED ALWAYS AS (json_extract(record, '$.manifest.origin')) VIRTUAL,
  UNIQUE (pool, local_name)
);

CREATE INDEX images_by_origin ON images (origin);
