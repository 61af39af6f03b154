"""The parameter types of routes: the roles that may call one, and the use cases of the process."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from services.kit.http.dependencies import require, use_cases
from services.orders.commands.use_cases import UseCases

Orders = Annotated[UseCases, Depends(use_cases)]

buyer = require("buyer", "operator")
Buyer = Annotated[str, Depends(buyer)]
Leader = Annotated[str, Depends(require("leader", "operator"))]
Member = Annotated[str, Depends(require("buyer", "leader", "operator"))]
"""A buyer or a leader, or an operator."""
Terminal = Annotated[str, Depends(require("terminal", "operator"))]
Operator = Annotated[str, Depends(require("operator"))]
Anyone = Annotated[str, Depends(require("buyer", "operator", "leader", "terminal", "courier"))]


FIRST = UUID(int=0)
"""The cursor before the first id."""
TRUSTED = {"buyer", "operator"}
"""The roles that may see the recipient, code and notes of an order."""
