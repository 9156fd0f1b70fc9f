CREATE TABLE year_end (customer INTEGER PRIMARY KEY REFERENCES customer (id), cents INTEGER NOT NULL);
INSERT INTO year_end (customer, cents) SELECT customer, sum(cents) FROM invoice GROUP BY customer;
