"""The search's inner loops over flat arrays, written for numba: compiled where that is done, else plain Python.

A client is a number from 1, 0 is the station. Every function that changes tours leaves them allowed: loads, windows,
releases, cold limits and shifts hold at all times.
"""
