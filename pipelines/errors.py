"""Errors that end a run, each with the exit code that the command line gives.

RunError          1  something outside the recipe went wrong; the text says what to do
├── Outage        1  an endpoint has stopped answering; it may answer later
├── UserError     2  the user's input is wrong; the text names the file, the key and the mend
├── BudgetReached 3  a cap of the recipe's budget; what was bought is kept, and a higher cap goes on
└── GateRefused   4  a dataset may not be published; the text names every condition, and the rows
"""

from collections.abc import Sequence


class RunError(Exception):
    """A run cannot go on."""

    exit_code = 1


class Outage(RunError):  # noqa: N818 - named after what happened, which no retry of ours has mended
    """An endpoint has stopped answering."""


class UserError(RunError):
    """The user's input is wrong.

    Args:
        file: The file to mend.
        key: The key or line in it; empty when the file as a whole is meant.
        problem: What is wrong, and the mend.
    """

    exit_code = 2

    def __init__(self, file: object, key: str, problem: str) -> None:
        super().__init__(file, key, problem)
        self.file, self.key, self.problem = file, key, problem

    def __str__(self) -> str:
        return " ".join(f"{self.file}: {f'{self.key}: ' if self.key else ''}{self.problem}".split())


class BudgetReached(RunError):  # noqa: N818 - the run did as it was told
    """A cap of the recipe's budget was reached."""

    exit_code = 3


class GateRefused(RunError):  # noqa: N818 - the gate did as it was told
    """A dataset may not be published.

    Args:
        conditions: That were refused, each with its rows.
    """

    exit_code = 4

    def __init__(self, conditions: Sequence[object]) -> None:
        super().__init__(*conditions)

    def __str__(self) -> str:
        return "\n".join(["not published:", *(f"  {condition}" for condition in self.args)])
