"""Improvement search: simulated annealing by ruin and recreate in a compiled kernel, with PyVRP beside it."""
