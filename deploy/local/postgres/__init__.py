"""The embedded PostgreSQL: server, account, roles and databases."""
