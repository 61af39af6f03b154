"""Shared runtime of the services; it knows no word of the domain."""
