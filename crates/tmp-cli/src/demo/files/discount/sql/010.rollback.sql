DROP TABLE discount;
