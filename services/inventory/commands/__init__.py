"""Use cases of inventory, called by routes and handlers alike."""
