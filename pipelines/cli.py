"""The command line. Heavy imports stay inside the commands: ``potstill --help`` answers at once.

Exit codes: 0 done; 2 the user's input is wrong; 3 stopped by the budget; 4 a critic or gate refused to publish;
1 anything else.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from pipelines.commands import recipes, results, serving
from pipelines.errors import RunError
from pipelines.telemetry import switch_off


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    switch_off()
    args = _parser().parse_args(argv)
    try:
        code: int = args.command(args)
    except RunError as error:
        sys.stderr.write(f"potstill: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("potstill: stopped; run again to go on\n")
        return 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="potstill", description="Distil a language model behind an API into data and a small model you own."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for kind in (recipes, results, serving):
        kind.add(commands)
    return parser
