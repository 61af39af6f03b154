"""Construction heuristics: greedy plans, insertion of single orders, reasons for unserved orders."""
