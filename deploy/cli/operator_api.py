"""HTTP client of a running stack's services, with the operator's token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from contracts.topics import SERVICES
from deploy.local import endpoints
from deploy.local.data.lock import owner
from deploy.local.errors import StackError

T = TypeVar("T")


class OperatorApi:
    """Sends requests to the services of the stack that runs on a data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        found = endpoints.read(self._data)
        self._urls: dict[str, str] = found["http"]
        headers = {"Authorization": f"Bearer {found['tokens']['operator']}"}
        self._client = httpx2.Client(headers=headers, timeout=30, trust_env=False)

    def __enter__(self) -> OperatorApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(self, service: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the JSON of the response, empty without one. Raises `StackError` with the service's error detail."""
        try:
            answer = self._client.request(method, self._urls[service] + path, json=body)
        except httpx2.TransportError as error:
            raise StackError(f"{service} does not answer: {error}") from None
        found: dict[str, Any] = answer.json() if answer.content else {}
        if answer.is_error:
            raise StackError(f"{service} answered {answer.status_code}: {found.get('detail') or found.get('title')}")
        return found

    def each(self, call: Callable[[str], T]) -> tuple[dict[str, T], dict[str, str]]:
        """Call a function for each service. Return the results, and the errors of services that did not answer: one
        service that is down does not hide the records of the others.
        """
        answers: dict[str, T] = {}
        missing: dict[str, str] = {}
        for service in SERVICES:
            try:
                answers[service] = call(service)
            except StackError as error:
                missing[service] = str(error)
        if not answers and owner(self._data) is None:  # the stack was killed, else it had removed its endpoints
            raise endpoints.not_running(self._data)
        return answers, missing
