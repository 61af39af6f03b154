"""The data folder: lock, files, secrets, ports, clock, options."""
