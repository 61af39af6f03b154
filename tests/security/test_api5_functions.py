"""API5:2023, broken function level authorisation: no route does more than its document says, and what manages others is
for staff. Every route x every kind of principal is in `tests/contract/test_scopes.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.routing import compile_path

from contracts.scopes import KINDS
from services.kit.process.openapi import document
from services.kit.process.service import Service
from tests.contract.test_scopes import SERVICES, S, client, guarded, needed, path_of
from tests.tokens import Issuer

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"}
OF_STAFF = {
    S.ORDER_MANAGE, S.CATALOG_WRITE, S.WAVE_MANAGE, S.SHIFT_WRITE, S.DEVICE_ENROL, S.PRINCIPAL_MANAGE, S.LEDGER_POST,
    S.PERSON_READ, S.ERASURE_RUN, S.OPS_ADMIN,
}  # fmt: skip
"""Scopes that act on what others own."""


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
async def test_a_method_that_no_document_has_is_refused_to_an_admin_too(service: Service) -> None:
    issuer, wrong = Issuer(), []
    headers = issuer.headers("staff.admin", frozenset(S), datetime.now(UTC))
    async with client(service, issuer) as http:
        known = [route.partition(" ") for route in needed(service)]
        patterns = [(method, compile_path(path)[0]) for method, _, path in known]
        for path in document(service)["paths"]:
            for method in METHODS:
                _, real = path_of(f"{method} {path}")
                if any(method == one and pattern.match(real) for one, pattern in patterns):
                    continue
                answer = await http.request(method, real, headers=headers)
                if answer.status_code != 405:
                    wrong.append(f"{method} {path}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_only_staff_manages_what_others_own(kind: str) -> None:
    assert not KINDS[kind] & OF_STAFF


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_route_to_a_list_of_others_needs_a_scope(service: Service) -> None:
    """A route without a scope decides by the object alone, so it leads to exactly one."""
    open_to_all = [route for route, scopes in guarded(service).items() if not scopes]
    assert all(route.startswith("GET ") and "{" in route for route in open_to_all), open_to_all
