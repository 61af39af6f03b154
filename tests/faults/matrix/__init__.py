"""The fault matrix: each fault that the house must bear, injected under load into the real thing, and then judged."""
