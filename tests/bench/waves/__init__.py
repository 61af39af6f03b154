"""Waves: policies for the time at which waiting orders leave a station, compared on generated market days."""
