"""Everything of dispatch that knows SQL."""

from services.dispatch.repository.wave import WaveRepository

__all__ = ["WaveRepository"]
