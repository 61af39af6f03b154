"""`python -m services.inventory api|worker|all`"""

import sys

from services.inventory.app import SERVICE
from services.kit.process.main import main

if __name__ == "__main__":
    raise SystemExit(main(SERVICE, sys.argv))
