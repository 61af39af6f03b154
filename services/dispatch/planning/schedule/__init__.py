"""Timetables of couriers: trips, stops, times."""
