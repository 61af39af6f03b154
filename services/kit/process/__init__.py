"""Processes of a service: roles, start-up order, readiness, gauges, housekeeping."""
