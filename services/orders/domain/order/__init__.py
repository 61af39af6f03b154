"""An order: its value, its state machine, its policy and its prices."""
