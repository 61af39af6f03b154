"""The probe as a whole service: `python -m tests.integration.edge api|worker|all`. `EDGE_FAILS` ends the worker."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

from fastapi import APIRouter, Depends

from contracts.scopes import Scope
from services.kit.context import Context
from services.kit.http.body import Body
from services.kit.http.dependencies import context_of, require
from services.kit.process.main import main
from services.kit.process.service import Service
from tests.integration.probe.service import MIGRATIONS, MODELS, Add, ProbeBook, on_due, subscription
from tests.integration.probe.world import lock_accounts

router = APIRouter(prefix="/v1", dependencies=[Depends(require(Scope.OPS_ADMIN))])


class Amount(Body):
    """The amount to add."""

    n: int
    amount: int = 1


@router.post("/accounts/{account}", status_code=201)
async def add(context: Annotated[Context, Depends(context_of)], account: str, body: Amount) -> dict[str, str]:
    """Sends the worker a command to add, through the outbox."""
    async with context.unit() as uow:
        await lock_accounts(uow, [account])
        return {"event": str(uow.emit(Add(account=account, n=body.n, amount=body.amount)))}


@router.post("/slow")
async def slow() -> dict[str, bool]:
    """Takes a second."""
    await asyncio.sleep(1)  # pause: a request that is in flight when the stop comes
    return {"done": True}


async def planner(_context: Context) -> None:
    """A background task that never ends, unless it is configured to fail."""
    if os.environ.get("EDGE_FAILS"):
        raise RuntimeError("the planner is broken")
    await asyncio.Event().wait()


SERVICE = Service(
    name="probe",
    migrations=MIGRATIONS,
    subscriptions=(subscription(),),
    open_repository=ProbeBook,
    models=MODELS,
    on_due=on_due,
    routes=(router,),
    background=(planner,),
)

if __name__ == "__main__":
    raise SystemExit(main(SERVICE, sys.argv))
