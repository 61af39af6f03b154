"""`halfday env`: prints addresses and tokens of a stack as shell variables."""

import shlex
from pathlib import Path

from deploy.local import endpoints


def env(*, data: Path = Path(".halfday")) -> None:
    """Print the addresses and tokens of a running stack as shell variables, for curl.

    DOOR is the front door, ORDERS, INVENTORY and DISPATCH are the services behind it. OPERATOR, BUYER, LEADER, TERMINAL
    and COURIER are the header of a request in this role, for the services themselves: the door refuses them. The output
    contains secrets.

    Example: halfday env --data ./market

    In a shell: eval "$(./halfday env)"; curl -H "$BUYER" "$ORDERS/v1/catalog/items"

    Parameters
    ----------
    data
        Folder of the stack.
    """
    found = endpoints.read(data.absolute())
    print(f"DOOR={shlex.quote(found['door'])}")
    for service, url in found["http"].items():
        print(f"{service.upper()}={shlex.quote(url)}")
    for role, token in found["tokens"].items():
        print(f"{role.upper()}={shlex.quote(f'Authorization: Bearer {token}')}")
