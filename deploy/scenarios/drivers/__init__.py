"""The people of a market day, as they meet the services: over HTTP, with retries, each in their own role."""
