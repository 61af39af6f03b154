"""Tools that write and check the contracts: schemas, examples, history, documents. No service imports them."""
