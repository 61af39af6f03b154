"""Solver processes and the port that calls them."""
