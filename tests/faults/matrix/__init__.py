"""The fault matrix: injects each fault under load into a real stack and checks the invariants."""
