"""The invariants of a market: pure functions over facts, used by the audit, the fault tests and the simulation.

They share no code with the services.
"""

from __future__ import annotations

from deploy.audit.invariants import campaigns as campaigns
from deploy.audit.invariants import deliveries as deliveries
from deploy.audit.invariants import events as events
from deploy.audit.invariants import lots as lots
from deploy.audit.invariants import money as money
from deploy.audit.invariants import orders as orders
from deploy.audit.invariants import reservations as reservations
from deploy.audit.invariants import sales as sales
from deploy.audit.invariants import stock as stock
from deploy.audit.invariants.invariant import INVARIANTS as INVARIANTS
from deploy.audit.invariants.invariant import judge as judge
