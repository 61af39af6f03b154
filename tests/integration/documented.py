"""Compares answers with the response models of their routes, from which `/openapi.json` is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx2
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import Match


def check_documented(routers: Sequence[APIRouter], answer: httpx2.Response) -> None:
    """Fail where a JSON answer with a status below 300 does not fit its route's model, or has other fields."""
    path, method = answer.request.url.path, answer.request.method
    if answer.status_code >= 300 or "json" not in answer.headers.get("content-type", "") or "/v1/" not in path:
        return
    scope = {"type": "http", "path": path, "method": method, "root_path": "", "path_params": {}}
    known = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    routes = [route for route in known if route.matches(scope)[0] is Match.FULL]
    if not routes:
        return  # one of the kit's
    assert routes[0].response_model is not None, f"{method} {routes[0].path} has no response model"
    model, content = TypeAdapter(routes[0].response_model), answer.json()
    dumped = model.dump_python(model.validate_python(content), mode="json", exclude_unset=True)
    assert _shape(dumped) == _shape(content), f"{method} {routes[0].path} returns other fields than its model has"


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    return [_shape(one) for one in value] if isinstance(value, list | tuple) else ...
