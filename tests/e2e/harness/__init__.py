"""End-to-end harness: a broker, traffic, real workers, and an independent recount. Reused by the chaos tests."""
