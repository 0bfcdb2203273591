"""Keys of what was said before: eight bytes each, whatever the texts' length."""

import hashlib

import numpy as np
from numpy.typing import NDArray

_RECENT = 1 << 16


class Seen:
    """A set of texts that only grows, by 64-bit hashes: a sorted array, and a small set of the most recent ones.

    Among ten million texts the chance that two different ones share a hash is below one in 300,000.
    """

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, text: str) -> bool:
        return self._holds(_hash(text))

    def add(self, text: str) -> bool:
        """Whether it is new; from now on it is not."""
        key = _hash(text)
        if self._holds(key):
            return False
        self._recent.add(key)
        if len(self._recent) >= max(_RECENT, len(self._sorted) // 8):
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.sort(np.concatenate([self._sorted, recent]))
            self._recent.clear()
        return True

    def _holds(self, key: int) -> bool:
        if key in self._recent:
            return True
        wanted = np.uint64(key)
        at = int(self._sorted.searchsorted(wanted))
        return at < len(self._sorted) and bool(self._sorted[at] == wanted)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
