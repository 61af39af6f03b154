"""Improvement search: ruin and recreate, fleets, PyVRP, the compiled kernel."""
