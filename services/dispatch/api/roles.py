"""Dependencies that limit routes to roles; the operator may call every route."""

from fastapi import Depends

from services.kit.http.dependencies import require

OPERATOR = Depends(require("operator"))
PLANNER = Depends(require("operator", "leader"))
COURIER = Depends(require("courier", "operator"))
CUSTOMER = Depends(require("buyer", "leader", "terminal", "operator"))
