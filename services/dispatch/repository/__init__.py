"""Everything of dispatch that knows SQL."""

from services.dispatch.repository.book import DispatchBook

__all__ = ["DispatchBook"]
