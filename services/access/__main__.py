"""`python -m services.access all`; `api` and `worker` are its parts, `invite-admin` prints a link and ends."""

import sys

from services.access import first_admin
from services.access.app import SERVICE
from services.kit.process.main import main

if __name__ == "__main__":
    if sys.argv[1:] == [first_admin.COMMAND]:
        raise SystemExit(first_admin.main())
    raise SystemExit(main(SERVICE, sys.argv))
