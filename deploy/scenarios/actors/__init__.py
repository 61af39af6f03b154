"""The people and devices of a market, as they meet the services through one client port.

An actor is a small class over a `Client`: it knows its requests in their order, the device that recorded them, the
answers that allow the next step, and the promises that an answer keeps. A single request without any of these is in
`requests`. When an actor acts, and what happens to it, is decided by its caller: the schedule of a demo's day, the load
of the fault tests, or a simulated day.
"""
