"""Everything of inventory that knows SQL: `stock` for the changes of a transaction, `queries` for the API's reads."""
