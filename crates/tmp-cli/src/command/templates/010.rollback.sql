-- Takes the change back after it was committed. The result is compared with what was before.
DROP TABLE example;
