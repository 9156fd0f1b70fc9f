CREATE TABLE discount (
    customer INTEGER NOT NULL REFERENCES customer (id),
    percent INTEGER NOT NULL CHECK (percent BETWEEN 1 AND 50)
);
INSERT INTO discount (customer, percent) SELECT id, 2 FROM customer WHERE id % 10 = 0;
-- The third statement cannot hold: nobody may save 90 percent.
INSERT INTO discount (customer, percent) VALUES (1, 90);
