-- Lists are shown by date: what comes in that order needs no sorting.
CREATE INDEX images_by_date ON images
  (published_at, uuid, pool, local_name, name, version, os, type, origin, source, ignored, instances);
