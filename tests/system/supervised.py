"""A supervisor to kill: keeps a stack of stand-ins on the folder in argv, until its stdin ends."""

import sys
from pathlib import Path

from deploy.local.stack import Stack
from tests.system.standin import command

if __name__ == "__main__":
    with Stack(Path(sys.argv[1]), program=command) as stack:
        stack.wait_ready()
        print("ready", flush=True)
        sys.stdin.read()
