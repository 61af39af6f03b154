"""Lots and stock: what is promised and what is there."""
