"""The parameter types of routes: the callers by the scope that a route needs, and the use cases of the process."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.http.dependencies import require, use_cases
from services.orders.commands.use_cases import UseCases

Orders = Annotated[UseCases, Depends(use_cases)]

buyer = require(Scope.ORDER_WRITE)
Buyer = Annotated[Principal, Depends(buyer)]
Leader = Annotated[Principal, Depends(require(Scope.CAMPAIGN_WRITE))]
Member = Annotated[Principal, Depends(require(Scope.ORDER_WRITE, Scope.CAMPAIGN_WRITE))]
"""A member of a group-buy, or its leader."""
PointLeader = Annotated[Principal, Depends(require(Scope.PICKUP_HAND_OVER))]
Collector = Annotated[Principal, Depends(require(Scope.ORDER_WRITE, Scope.PICKUP_HAND_OVER))]
"""A buyer at a pickup point, or its leader."""
Terminal = Annotated[Principal, Depends(require(Scope.SALE_SUBMIT, Scope.RECORD_HAND_IN))]
"""A stall's terminal, or a device of one that has ended."""
OrderManager = Annotated[Principal, Depends(require(Scope.ORDER_MANAGE))]
Payer = Annotated[Principal, Depends(require(Scope.PAYMENT_RECORD))]
Accountant = Annotated[Principal, Depends(require(Scope.LEDGER_POST))]
MemberReader = Annotated[Principal, Depends(require(Scope.PERSON_READ, Scope.LEDGER_POST))]
Eraser = Annotated[Principal, Depends(require(Scope.ERASURE_RUN))]
CatalogWriter = Annotated[Principal, Depends(require(Scope.CATALOG_WRITE))]
CatalogReader = Annotated[Principal, Depends(require(Scope.CATALOG_READ))]
Administrator = Annotated[Principal, Depends(require(Scope.OPS_ADMIN))]
Anyone = Annotated[Principal, Depends(require())]


FIRST = UUID(int=0)
"""The cursor before the first id."""
