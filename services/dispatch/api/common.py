"""What the routes share."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from services.kit.http import require
from services.kit.service import Context


def context(request: Request) -> Context:
    """The running service."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


Running = Annotated[Context, Depends(context)]
Limit = Annotated[int, Query(ge=1, le=500)]
OPERATOR = Depends(require("operator"))
COURIER = Depends(require("courier", "operator"))
CUSTOMER = Depends(require("buyer", "leader", "terminal", "operator"))


def polled(request: Request, content: BaseModel) -> Response:
    """The content under an ETag; 304 when the client has it already."""
    body = content.model_dump_json().encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
