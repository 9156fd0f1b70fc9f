-- Decides whether the change is right. Runs in a savepoint that is rolled back.
SELECT count(*) = 1 FROM sqlite_master WHERE type = 'table' AND name = 'example';
