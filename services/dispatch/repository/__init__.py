"""All SQL of dispatch."""

from services.dispatch.repository.postgres import PostgresWaves
from services.dispatch.repository.wave import WaveRepository, transaction

__all__ = ["PostgresWaves", "WaveRepository", "transaction"]
