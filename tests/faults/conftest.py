"""Fixtures of the fault tests: the probe service of the integration tests."""

from tests.integration.conftest import world

__all__ = ["world"]
