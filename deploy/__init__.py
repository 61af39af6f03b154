"""How Halfday is run: the command line and the local stack."""
