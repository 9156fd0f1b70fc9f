CREATE TABLE part (invoice INTEGER NOT NULL REFERENCES invoice (id), cents INTEGER NOT NULL);
INSERT INTO part (invoice, cents) SELECT id, cents / 2 FROM invoice;
-- Takes long: the process is killed while this runs.
INSERT INTO part (invoice, cents)
WITH RECURSIVE slowly (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM slowly WHERE n < 300000000)
SELECT id, cents - cents / 2 FROM invoice WHERE id < (SELECT max(n) FROM slowly);
