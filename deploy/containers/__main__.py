"""`python -m deploy.containers env`, on the host: write the passwords that deploy/.env lacks. In a container, `topics`
creates users and topics, and `door` becomes the front door.
"""

import base64
import os
import re
import secrets
import sys
import tempfile
from pathlib import Path

from contracts.topics import ADMIN, DEPLOYED, OBSERVER
from deploy.local.data.files import write_private
from deploy.local.data.secrets import Secrets
from deploy.local.door import process as front
from deploy.local.door.caddyfile import DoorSettings, Listener
from deploy.local.errors import StackError
from deploy.local.kafka.topics import login, provision
from deploy.local.kafka.users import add_users

ENV = Path(__file__).parents[1] / ".env"
DOOR_FORMS = {
    "HOSTS": r"[a-z0-9.-]+( [a-z0-9.-]+)* ?",
    "PORT": r"[0-9]{2,5}",
    "UPSTREAM": r"[a-z0-9.-]*(\{service\})?[a-z0-9.-]*:[0-9]+",
}


ROLES = "docker compose -f deploy/compose.yaml exec postgres sh /docker-entrypoint-initdb.d/roles.sh"


def env(file: Path) -> list[str]:
    """Write the passwords that `file` lacks, mode 0600; Compose takes its variables from there. Return their names.

    Present ones stay: new passwords would fit neither the broker nor the databases that exist.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Secrets.load(Path(folder))
    values = {
        "COMPOSE_PROFILES": "core",
        # An id may not begin with "-", which the tool would take for an option.
        "HALFDAY_CLUSTER": "h" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")[1:],
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(24),
        "QUOTE_KEY": made.quote_key,
        "CAPABILITY_KEY": made.capability_key,
        "MEMBER_KEY": made.member_key,
        "ACCESS_PEPPER": made.access_pepper,
        "ACCESS_KEY": made.access_key,
        **{f"KAFKA_{user.upper()}": password for user, password in made.kafka.items()},
        **{f"DATABASE_{role.upper()}": password for role, password in made.postgres.items()},
    }
    kept = file.read_text() if file.exists() else ""
    present = set(re.findall(r"^([A-Za-z_]+)=", kept, re.M))
    added = {name: value for name, value in values.items() if name not in present}
    if added:
        start = kept if kept.endswith("\n") or not kept else f"{kept}\n"
        write_private(file, start + "".join(f"{name}={value}\n" for name, value in added.items()))
    return list(added)


def topics() -> None:
    """Create users, topics and permissions on the broker that the environment names; harmless if they exist.

    A new broker has its users from `kafka.sh`; one that is older than a service gets that service's user here.
    """
    bootstrap, password = os.environ["HALFDAY_KAFKA_BOOTSTRAP"], os.environ["HALFDAY_KAFKA_PASSWORD"]
    users = {user: os.environ[f"HALFDAY_PASSWORD_{user}"] for user in (*DEPLOYED, OBSERVER)}
    add_users(login(bootstrap, ADMIN, password), users)
    provision(bootstrap, ADMIN, password)


def door() -> None:
    """Execute Caddy as the front door, listening on all addresses of the container; never returns.

    HALFDAY_DOOR_HOSTS: the host names for which it answers, separated by spaces. HALFDAY_DOOR_PORT: its port.
    HALFDAY_DOOR_UPSTREAM: address of a service's API, with {service} for the name of the service. Raises StackError for
    an unusable one.
    """
    told = {name: os.environ[f"HALFDAY_DOOR_{name}"] for name in ("HOSTS", "PORT", "UPSTREAM")}
    wrong = [name for name, form in DOOR_FORMS.items() if not re.fullmatch(form, told[name])]
    if wrong:
        raise StackError(f"HALFDAY_DOOR_{wrong[0]} is {told[wrong[0]]!r}, expected the form {DOOR_FORMS[wrong[0]]}")
    folder = Path(tempfile.gettempdir()) / "door"
    folder.mkdir(mode=0o700, exist_ok=True)
    upstreams = {service: told["UPSTREAM"].format(service=service) for service in DEPLOYED}
    listener = Listener("0.0.0.0", int(told["PORT"]), tuple(told["HOSTS"].split()))  # noqa: S104 the container's network
    command = front.write_checked(DoorSettings(upstreams, (listener,), folder), folder)
    os.execve(command[0], command, front.environment(folder))  # noqa: S606 - replacing this process is the point


def _wrote(existed: bool, added: list[str]) -> str:
    if not added:
        return f"{ENV} has everything"
    if existed:
        return f"added to {ENV}: {', '.join(added)}; a database that exists gets its new roles by: {ROLES}"
    return f"wrote {ENV}; continue with: docker compose -f deploy/compose.yaml up --build --detach"


def main(words: list[str]) -> None:
    """Run the command; a StackError is one line on stderr and exit code 1."""
    try:
        match words:
            case ["env"]:
                print(_wrote(ENV.exists(), env(ENV)))
            case ["topics"]:
                topics()
            case ["door"]:
                door()
            case _:
                sys.exit("usage: python -m deploy.containers env|topics|door")
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
