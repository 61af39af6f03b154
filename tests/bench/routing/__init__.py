"""Routing: our search beside plain PyVRP on instances of the literature and on generated ones."""
