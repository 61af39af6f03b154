"""Timetables of couriers: times of trips, the cost of an insertion, assembly of plans."""
