"""A market day that can be played again: real handlers and domain over a fake log and a virtual clock.

One number, the seed, decides who does what, when each statement and record arrives and what breaks. `run` plays one
seed; `python -m tests.simulation --seed N` shows it.
"""
