"""The parameter types of the routes of inventory: the callers by the scope that a route needs, and their repository."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from contracts.scopes import Scope
from contracts.values import Principal
from services.inventory.domain.access import may_use
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems
from services.kit.http.dependencies import require
from services.kit.transaction.unit_of_work import UnitOfWork

StockReader = Annotated[Principal, Depends(require(Scope.STOCK_READ))]
Buyer = Annotated[Principal, Depends(require(Scope.CATALOG_READ))]
"""Someone who may see what is offered, though not how much of it there is."""
StockKeeper = Annotated[Principal, Depends(require(Scope.STOCK_ADJUST))]
Closer = Annotated[Principal, Depends(require(Scope.STOCK_CLOSE))]
"""Someone who may mark an item as sold out."""


def check_pool(caller: Principal, pool: str) -> None:
    """Raise the 404 of a pool that the caller may not use: the answer is that of a pool that does not exist."""
    if not may_use(caller, pool):
        raise problems.not_found(f"pool {pool}")


def repository_of(uow: UnitOfWork, caller: Principal) -> StockRepository:
    """Return the repository of a request; its movements are recorded as made by the caller."""
    return StockRepository(uow, f"{uow.consumer}/{caller.subject}")
