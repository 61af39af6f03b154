"""Routing: our search compared with plain PyVRP on instances of the literature and on generated ones."""
