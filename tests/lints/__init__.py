"""Our own lints: the rules of this house that no off-the-shelf tool knows. Run with `python -m tests.lints`."""
