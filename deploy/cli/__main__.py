"""The `halfday` command. Each line of COMMANDS is one command; its module is imported only when it runs."""

import sys
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError, UnusedCliTokensError

from deploy.local.errors import StackError

# name, where its function or app is, what `--help` says of it
COMMANDS = (
    ("demo", "deploy.cli.demo:demo", "Play one market day on a stack of its own and prove its books."),
    ("test", "deploy.cli.testing:run_tests", "Check the code and run the whole suite on real Kafka and PostgreSQL."),
    ("bench", "deploy.cli.bench:bench", "Measure this project beside its peers."),
    ("up", "deploy.cli.stack:up", "Start the stack on a data folder and keep it running."),
    ("status", "deploy.cli.stack:status", "What runs, and whether it is ready."),
    ("env", "deploy.cli.env:env", "Addresses and tokens of a running stack as shell variables, for curl."),
    ("logs", "deploy.cli.stack:logs", "Show the log of one process, or all."),
    ("down", "deploy.cli.stack:down", "Stop the stack of a data folder; its state is kept."),
    ("backup", "deploy.cli.backup:backup", "Write a stopped data folder to one file."),
    ("restore", "deploy.cli.backup:restore", "Make a data folder from such a file."),
    ("audit", "deploy.cli.audit:audit", "Prove the books from the topics and the databases."),
    ("parked", "deploy.cli.dead_letters:app", "Dead letters: list, show, redrive, discard."),
    ("erase", "deploy.cli.erase:erase", "Forget the person of an order that has ended."),
    ("plan", "deploy.cli.plan:plan", "Plan a routing problem: couriers, trips, times, reasons, a picture."),
    ("whatif", "deploy.cli.whatif:whatif", "Plan a wave of a finished day again under other conditions."),
    ("partitions", "deploy.cli.partitions:partitions", "Give a stopped stack's topics the partitions described."),
    ("contracts", "deploy.cli.contracts:app", "Check, write or document the event contracts."),
    ("faults", "deploy.cli.faults:app", "Break the house on purpose, under load, and judge what is left."),
    ("doctor", "deploy.cli.doctor:doctor", "What this machine has and lacks, in words."),
)

HELP = """Village markets, group-buys and same-day delivery.

See it once:       ./halfday demo
Keep it running:   ./halfday up --detach, then status, audit, down
Something wrong?   ./halfday doctor, then parked, logs
Before it is:      ./halfday down, then backup FILE

Each command has --help with an example."""


def application(chosen: str = "") -> App:
    """The command line. Of the `chosen` command the whole help is known, of the others their line only."""
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
    """Runs the command in argv. Exit code 0 only if its claim holds, 1 with a sentence on stderr, 2 for misuse."""
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    names = [name for name, _, _ in COMMANDS]
    if chosen not in (*names, "", "--help", "-h", "--version"):
        print(f"There is no command {chosen!r}; there are: {', '.join(names)}", file=sys.stderr)
        sys.exit(2)
    try:
        code = application(chosen)(
            sys.argv[1:], exit_on_error=False, print_error=False, result_action="return_int_as_exit_code_else_zero"
        )
    except CycloptsError as error:
        print(f"{_misuse(error, chosen)}\nSee: ./halfday {chosen} --help", file=sys.stderr)
        code = 2
    except StackError as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        code = 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)  # a file where a folder was meant, no permission
        code = 1
    sys.exit(code)


def _misuse(error: CycloptsError, chosen: str) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"halfday {chosen} has no use for {', '.join(map(repr, error.unused_tokens or ()))}"
    return str(error)


def _version() -> str:
    try:
        return version("halfday")
    except PackageNotFoundError:  # run from a checkout
        return "a checkout"


if __name__ == "__main__":
    main()
