"""Contents of a data folder: lock, files, secrets, ports, clock, options."""
