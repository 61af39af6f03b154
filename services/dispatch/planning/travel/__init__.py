"""Distances and travel times."""
