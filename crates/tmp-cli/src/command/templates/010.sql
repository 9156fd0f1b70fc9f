-- Makes the change. Runs in one transaction with the switch of the modules.
CREATE TABLE example (id INTEGER PRIMARY KEY, note TEXT NOT NULL);
