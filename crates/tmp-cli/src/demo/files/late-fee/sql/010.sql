ALTER TABLE invoice ADD COLUMN fee_cents INTEGER NOT NULL DEFAULT 0;
UPDATE invoice SET fee_cents = cents * 5 / 100 WHERE days_overdue > 30;
CREATE INDEX invoice_by_fee ON invoice (fee_cents);
