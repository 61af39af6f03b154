"""Uploads of devices that were offline: each entry takes effect once."""
