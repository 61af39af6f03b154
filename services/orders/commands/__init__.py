"""Use cases of orders, called by routes and handlers alike."""
