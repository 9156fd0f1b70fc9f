DROP TABLE year_end;
