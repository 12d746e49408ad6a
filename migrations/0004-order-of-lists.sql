-- Lists are sorted by date and name unless asked otherwise: what lies in that order needs no sorting.
DROP INDEX images_by_date;
CREATE INDEX images_by_date ON images
  (published_at, name, uuid, pool, local_name, version, os, type, origin, source, ignored, instances);
DROP INDEX offers_by_date;
CREATE INDEX offers_by_date ON offers (listing, published_at, name, position, uuid, version, os, type);
