"""Runs a day: stack, actors, clock, progress."""
