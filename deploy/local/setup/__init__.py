"""First-run setup: packages, downloads, cache."""
