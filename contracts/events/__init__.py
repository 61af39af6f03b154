"""Every event model, by the service that owns its topic."""
