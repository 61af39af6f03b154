"""Pure decisions of access: no clock, no ids, no I/O."""
