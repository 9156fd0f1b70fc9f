SELECT count(*) > 0 FROM invoice WHERE fee_cents > 0;
SELECT count(*) = 0 FROM invoice WHERE fee_cents > 0 AND days_overdue <= 30;
