"""Becomes a service process that reaches Kafka and PostgreSQL through the proxies, armed with a fault.

`python -m tests.faults.matrix.launcher DATA SERVICE ROLE`, started by the stack in place of the service. It reads the
folder DATA/matrix: `network.json` has the proxies' ports; `held/NAME` makes it wait; `armed/NAME` has one FAULT for
each of its next lives; `newer/NAME` makes it the next version named in the file. Each life is recorded in `lives/NAME`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Replace this process by the service; never returns."""
    data, service, role = sys.argv[1:]
    name, matrix = f"{service}.{role}", Path(data, "matrix")
    while (matrix / "held" / name).exists():
        time.sleep(0.05)
    network = json.loads((matrix / "network.json").read_text())
    for variable, real, proxied in network["replace"]:
        os.environ[variable] = os.environ[variable].replace(real, proxied)
    os.environ |= network["settings"]
    fault = _next_fault(matrix / "armed" / name)
    with (matrix / "lives" / name).open("a") as lives:
        lives.write(f"{fault}\n")
    if fault:
        os.environ["FAULT"] = fault
    newer = (matrix / "newer" / name).exists()
    if newer:
        os.environ["NEWER"] = (matrix / "newer" / name).read_text()
    module = ["tests.faults.matrix.next_version", service] if newer else [f"services.{service}"]
    os.execv(sys.executable, [sys.executable, "-m", *module, role])


def _next_fault(armed: Path) -> str:
    if not armed.exists():
        return ""
    fault, *rest = armed.read_text().splitlines() or [""]
    armed.write_text("".join(f"{line}\n" for line in rest))
    return fault


if __name__ == "__main__":
    main()
