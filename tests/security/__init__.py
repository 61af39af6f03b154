"""Tests named after the risks of the OWASP API Security Top 10, 2023."""
