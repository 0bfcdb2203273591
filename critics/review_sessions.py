"""Who may review: a link with a token for each reviewer, a session for each browser that came by it.

Of tokens and cookies only SHA-256 hashes are kept, and only in this process: links and sessions end with it.
"""

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Session:
    """One reviewer in one browser.

    Attributes:
        csrf: What every form of this session sends along.
    """

    reviewer: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class TooManyTries(Exception):  # noqa: N818 - a state, which passes
    """Too many wrong tokens in the last minute: none is looked at until it is over."""


class Reviewers:
    """The reviewers of one server.

    Args:
        tries: Wrong tokens that are looked at in one window, whoever sends them.
        window_s: Length of the window, in seconds.
        clock: Gives seconds.

    Attributes:
        cookie: Name of the session's cookie; one of its own, since cookies do not tell ports of a machine apart.
    """

    def __init__(self, *, tries: int = 10, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.cookie = f"potstill_{secrets.token_hex(4)}"
        self._by_token: dict[str, str] = {}
        self._sessions: dict[str, Session] = {}
        self._wrong: deque[float] = deque(maxlen=tries)
        self._window_s, self._clock = window_s, clock

    def invite(self, names: Iterable[str]) -> dict[str, str]:
        """A new token for each name; it is told here and never again."""
        tokens = {name: secrets.token_urlsafe(32) for name in names}
        self._by_token.update({_hash(token): name for name, token in tokens.items()})
        return tokens

    def enter(self, token: str) -> tuple[str, Session] | None:
        """The value of a new session's cookie, and the session; ``None`` for a wrong token.

        Raises:
            TooManyTries: There were too many wrong ones.
        """
        now = self._clock()
        if len(self._wrong) == self._wrong.maxlen and now - self._wrong[0] < self._window_s:
            raise TooManyTries
        name = self._by_token.get(_hash(token))
        if name is None:
            self._wrong.append(now)
            return None
        value, session = secrets.token_urlsafe(32), Session(name)
        self._sessions[_hash(value)] = session
        return value, session

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie."""
        return self._sessions.get(_hash(cookie))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
