"""The service's SQL: `book` for what a transaction changes, `views` for what a page shows."""
