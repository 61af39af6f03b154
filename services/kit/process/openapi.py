"""The OpenAPI document of a service as text, made without a database: the same text for the same code."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from services.kit.clock import Clock
from services.kit.context import Context
from services.kit.process.api import create_api
from services.kit.process.service import Service
from services.kit.settings import Settings
from services.kit.transaction.ports import Ports


def document(service: Service) -> dict[str, Any]:
    """Return the document that the service serves as `/openapi.json` on its operations port.

    The use cases of the service are not opened: they may need secrets, and no route is called.
    """
    settings = Settings(database_url="postgresql://nowhere")
    context = Context(settings, Ports(Clock()), None, lambda: None, service.name)  # type: ignore[arg-type]
    return create_api(replace(service, use_cases=lambda _: None), context).openapi()


def text(service: Service) -> str:
    """Return the document as JSON with sorted keys, as it is committed in `services/SERVICE/openapi.json`."""
    return json.dumps(document(service), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
