"""`python -m services.orders api|worker|all`."""

from __future__ import annotations

import sys

from services.kit.process.main import main
from services.orders.app import SERVICE

if __name__ == "__main__":
    raise SystemExit(main(SERVICE, sys.argv))
