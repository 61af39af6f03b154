"""Waves: when to send what waits at a station, policies side by side on generated market days."""
