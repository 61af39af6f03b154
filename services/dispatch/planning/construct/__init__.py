"""Construction heuristics: plans built from nothing, insertions, reasons."""
