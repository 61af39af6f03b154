"""Contract suites of the stores: the same cases against PostgreSQL and against the tables in memory."""
