"""The front door: one origin before all services, served by Caddy."""
