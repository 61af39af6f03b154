"""Use cases of access, called by routes and background tasks."""
