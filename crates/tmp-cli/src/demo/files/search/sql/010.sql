CREATE TABLE search (word TEXT PRIMARY KEY, invoice INTEGER NOT NULL REFERENCES invoice (id)) WITHOUT ROWID;
INSERT INTO search (word, invoice) SELECT 'invoice-' || id, id FROM invoice;
