"""Evidence of the audit: topics and tables, read at one instant."""
