"""`python -m services.dispatch api|worker|all`."""

import sys

from services.dispatch.app import SERVICE
from services.kit.process.main import main

if __name__ == "__main__":
    raise SystemExit(main(SERVICE, sys.argv))
