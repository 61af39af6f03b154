"""Installation: packages and downloads, checked by digest."""
