"""The people and devices of a market, as they meet the services through one client port.

An actor is a small class over a `Client`: it knows its requests and what its device has recorded. When it acts, and
what happens to it, is decided by its caller: the schedule of a demo's day, the load of the fault tests, or a simulated
day.
"""
