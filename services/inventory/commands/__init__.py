"""Use cases of inventory, called by routes and handlers: each loads rows, decides with `domain`, and changes them."""
