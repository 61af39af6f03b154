"""Deterministic simulation of a market day: real handlers and domain over an in-memory log and a virtual clock.

One number, the seed, decides who does what, when each statement runs and each record arrives, and what breaks. `run`
plays one seed; `python -m tests.simulation --seed N` shows it.
"""
