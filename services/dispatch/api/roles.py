"""The parameter types of routes: the roles that may call one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from services.kit.http.dependencies import require

Operator = Annotated[str, Depends(require("operator"))]
Courier = Annotated[str, Depends(require("courier", "operator"))]
Leader = Annotated[str, Depends(require("leader", "operator"))]
Customer = Annotated[str, Depends(require("buyer", "leader", "terminal", "operator"))]
"""Everyone who places orders."""
