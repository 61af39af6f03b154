"""Pure decisions of inventory: no clock, no ids, no I/O."""
