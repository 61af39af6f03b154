"""The pure decisions of the service: no clock, no ids, no I/O."""
