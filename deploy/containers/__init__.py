"""Support for the stack in containers: passwords, written once, and topics, created at every start."""
