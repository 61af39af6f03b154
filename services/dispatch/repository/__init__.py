"""All SQL of dispatch."""

from services.dispatch.repository.wave import WaveRepository, transaction

__all__ = ["WaveRepository", "transaction"]
