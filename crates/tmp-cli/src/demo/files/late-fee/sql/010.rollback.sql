DROP INDEX invoice_by_fee;
ALTER TABLE invoice DROP COLUMN fee_cents;
