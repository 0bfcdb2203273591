"""The state of the tests' Hub: repositories, commits, trees, and the faults to come."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web


@dataclass
class Fault:
    """Goes wrong once.

    Attributes:
        route: Found in method and path, as in ``POST .*/commit/``.
        status: What is answered; 0 breaks the connection off in the middle of the body.
        then: Called before the answer, as by somebody who commits meanwhile.
    """

    route: str
    status: int
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "0"})
    then: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Entry:
    """One file of a tree; `oid` is git's, or of an LFS file the SHA-256."""

    blob: str
    size: int
    oid: str
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """One commit, with the whole tree."""

    oid: str
    message: str
    tree: dict[str, Entry]


@dataclass
class Repo:
    """One dataset repository; the last commit is the head."""

    commits: list[Commit]
    tags: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> Commit:
        """The commit that a branch, tag or hash names."""
        oid = self.tags.get(revision, revision)
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit.oid == oid), None) or missing("RevisionNotFound")

    def add(self, message: str, tree: dict[str, Entry]) -> Commit:
        """Commit."""
        oid = hashlib.sha1(repr((len(self.commits), message, sorted(tree.items()))).encode()).hexdigest()
        self.commits.append(Commit(oid, message, tree))
        return self.commits[-1]


def missing(code: str) -> Any:
    """Answer 404, as the Hub does."""
    raise web.HTTPNotFound(headers={"X-Error-Code": code, "X-Error-Message": code})


def listed(tree: dict[str, Entry]) -> list[dict[str, Any]]:
    """A tree as the Hub lists it."""
    folders = {parent.as_posix() for path in tree for parent in Path(path).parents} - {"."}
    found: list[dict[str, Any]] = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
    for path, entry in tree.items():
        lfs = {"lfs": {"oid": entry.oid, "size": entry.size, "pointerSize": 130}} if entry.lfs else {}
        found.append({"type": "file", "path": path, "size": entry.size, "oid": entry.oid[:40], **lfs})
    return sorted(found, key=lambda one: str(one["path"]))
