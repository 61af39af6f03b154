"""Identity: verifies the credentials of callers against what access has published."""
