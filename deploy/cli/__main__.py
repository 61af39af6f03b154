"""The `halfday` command. Each line of COMMANDS is one command; its module is imported only when it runs."""

import sys
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError, UnusedCliTokensError

from deploy.local.errors import StackError

# name, its function or app, its line in `--help`
COMMANDS = (
    ("demo", "deploy.cli.demo:demo", "Run one market day on a stack of its own and audit it."),
    ("test", "deploy.cli.testing:run_tests", "Check the code and run the whole suite on real Kafka and PostgreSQL."),
    ("bench", "deploy.cli.bench:bench", "Compare this project with its alternatives, or with another commit."),
    ("up", "deploy.cli.stack:up", "Start the stack on a data folder and keep it running."),
    ("status", "deploy.cli.stack:status", "Show the processes of a stack and their readiness."),
    ("env", "deploy.cli.env:env", "Print addresses and tokens of a stack as shell variables, for curl."),
    ("logs", "deploy.cli.stack:logs", "Show the log of one process, or all."),
    ("down", "deploy.cli.stack:down", "Stop the stack of a data folder; its data is kept."),
    ("backup", "deploy.cli.backup:backup", "Write a stopped data folder to one file."),
    ("restore", "deploy.cli.backup:restore", "Create a data folder from a backup."),
    ("audit", "deploy.cli.audit:audit", "Check that topics and databases agree."),
    ("dead-letters", "deploy.cli.dead_letters:app", "List, show, redrive and discard dead letters."),
    ("access", "deploy.cli.access:app", "Invite people, enrol devices, revoke both."),
    ("erase", "deploy.cli.erase:erase", "Erase the personal data of an order that has ended."),
    ("plan", "deploy.cli.plan:plan", "Plan a routing problem: couriers, trips, times, reasons, a picture."),
    ("whatif", "deploy.cli.whatif:whatif", "Plan a finished wave again under other conditions."),
    ("partitions", "deploy.cli.partitions:partitions", "Add partitions to the topics of a stopped stack."),
    ("contracts", "deploy.cli.contracts:app", "Check, write or document the event contracts."),
    ("faults", "deploy.cli.faults:app", "Inject faults under load and verify the invariants."),
    ("doctor", "deploy.cli.doctor:doctor", "Check this machine, a data folder and its stack."),
)

ALIASES = {"parked": "dead-letters"}
"""Old names, which work for one more release."""

HELP = """Village markets, group-buys and same-day delivery.

Try it:           ./halfday demo
Run it:           ./halfday up --detach, then status, audit, down
Troubleshoot:     ./halfday doctor, then dead-letters, logs
Back up:          ./halfday down, then backup FILE

Each command has --help with an example."""


def application(chosen: str = "") -> App:
    """Return the command line. The chosen command has its whole help, the others only their line."""
    app = App(
        name="halfday",
        help=HELP,
        version=_version,
        help_format="plaintext",
    )
    for name, place, text in COMMANDS:
        app.command(place, name=name, **({} if name == chosen else {"help": text}))
    return app


def main() -> None:
    """Run the command in argv. Exit code 0 on success, 1 with one sentence on stderr, 2 for invalid usage."""
    arguments = sys.argv[1:]
    if arguments:
        arguments[0] = ALIASES.get(arguments[0], arguments[0])
    chosen = arguments[0] if arguments else ""
    names = [name for name, _, _ in COMMANDS]
    if chosen not in (*names, "", "--help", "-h", "--version"):
        print(f"unknown command {chosen!r}, expected one of: {', '.join(names)}", file=sys.stderr)
        sys.exit(2)
    try:
        code = application(chosen)(
            arguments, exit_on_error=False, print_error=False, result_action="return_int_as_exit_code_else_zero"
        )
    except CycloptsError as error:
        print(f"{_usage_error(error)}\nSee: ./halfday {chosen} --help", file=sys.stderr)
        code = 2
    except StackError as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        sys.stderr.close()
        code = 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)  # a file instead of a folder, or no permission
        code = 1
    sys.exit(code)


def _usage_error(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        tokens = error.unused_tokens or ()
        return f"unexpected argument{'s' * (len(tokens) > 1)} {', '.join(map(repr, tokens))}"
    return str(error)


def _version() -> str:
    try:
        return version("halfday")
    except PackageNotFoundError:  # run from a checkout
        return "a checkout"


if __name__ == "__main__":
    main()
