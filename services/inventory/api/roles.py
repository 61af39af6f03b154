"""The parameter types of the routes of inventory: the roles that may call a route, and the repository for a role."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from services.inventory.repository.stock import StockRepository
from services.kit.http.dependencies import require
from services.kit.transaction.unit_of_work import UnitOfWork

Operator = Annotated[str, Depends(require("operator"))]
Stallholder = Annotated[str, Depends(require("operator", "terminal"))]
Anyone = Annotated[str, Depends(require("operator", "terminal", "courier", "leader", "buyer"))]


def repository_of(uow: UnitOfWork, role: str) -> StockRepository:
    """Return the repository of a request; its movements are recorded as made by the role."""
    return StockRepository(uow, f"{uow.consumer}/{role}")
