"""The `halfday` command: one small module per group of commands."""
