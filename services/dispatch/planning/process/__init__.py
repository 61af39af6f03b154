"""Adapter: solver processes, and the port that starts them and always returns a valid plan."""
