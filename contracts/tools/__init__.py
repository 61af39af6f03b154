"""What keeps the contracts honest: schemas, examples, history, documents. Nothing here runs in a service."""
