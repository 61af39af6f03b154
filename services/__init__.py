"""The three services and the kit under them."""
