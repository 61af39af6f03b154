"""All SQL of the service: rows that transactions lock and change, and the queries of pages."""
