"""What can go wrong with a teacher as a whole; what goes wrong with one row is an `Outcome`, never an exception.

TeacherError
├── EndpointError   the endpoint refuses every request: key, model or address is wrong
├── OutageError     the endpoint has stopped answering; asking again later goes on
├── RecordedError   a file of recorded generations cannot be read or matched
└── LedgerError     the ledger cannot be opened or written
    └── LedgerFull  the disk is full; everything received so far is safe
"""


class TeacherError(Exception):
    """Base of this package's errors; the text says what is wrong and the mend, and holds no secret."""


class EndpointError(TeacherError):
    """Asking further is pointless.

    Attributes:
        key: The recipe's key under ``teacher`` that mends it, as in ``model``.
    """

    def __init__(self, text: str, *, key: str) -> None:
        super().__init__(text)
        self.key = key


class OutageError(TeacherError):
    """The endpoint has stopped answering, or asks to be left alone for long; everything received so far is kept."""


class RecordedError(TeacherError):
    """A file of recorded generations cannot be read or matched."""


class LedgerError(TeacherError):
    """The ledger cannot be opened or written."""


class LedgerFull(LedgerError):  # noqa: N818 - a state to mend, told apart from other ledger errors
    """The disk is full; everything received so far is safe."""
