"""Back-tests: routing policies played over a table of requests, with honest estimates where the table is a log."""
