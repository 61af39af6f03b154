"""Users of the broker that a data folder of an older version does not have yet."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

ITERATIONS = 4096
TIMEOUT = 30.0


def add_users(client: Mapping[str, Any], users: Mapping[str, str]) -> list[str]:
    """Create the SCRAM users (name to password) that the broker lacks, and return their names. Idempotent.

    The users of a new folder are in its format already. `client` are the settings of a connection as the admin.
    """
    admin = AdminClient(dict(client))
    found = admin.describe_user_scram_credentials(list(users), request_timeout=TIMEOUT)
    assert isinstance(found, dict)  # as for every list of names
    missing = [name for name, answer in found.items() if _is_missing(answer)]
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    wanted: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(name, info, users[name].encode()) for name in missing
    ]
    if wanted:
        for done in admin.alter_user_scram_credentials(wanted, request_timeout=TIMEOUT).values():
            done.result(TIMEOUT)
    return missing


def _is_missing(answer: Any) -> bool:
    try:
        answer.result(TIMEOUT)
    except KafkaException as error:
        if error.args[0].name() == "RESOURCE_NOT_FOUND":
            return True
        raise
    return False
