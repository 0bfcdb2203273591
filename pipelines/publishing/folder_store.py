"""A folder or an object store as the place of publication, through fsspec: ``file:///…``, ``s3://…``.

There are no commits here, so every version has a folder of its own, which nobody changes once it is complete, and
``potstill.json`` beside them names the current one. It is written last: readers never see half a version.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import fsspec

from pipelines.errors import UserError
from pipelines.publishing.card import CHANGELOG
from pipelines.publishing.records import FACTS, HERE, Current, File, Release


class FolderStore:
    """One dataset in a folder.

    Attributes:
        place: What ``load_dataset`` is given; the address itself would be this machine's.

    Args:
        url: With a protocol that fsspec knows.

    Raises:
        UserError: There is no such protocol, what it needs is not installed, or the place refuses.
    """

    place = HERE

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            self._fs, self._root = fsspec.url_to_fs(self.url)
        except ImportError as error:
            raise UserError("--to", "", f"{error}, or name a folder as file:///…") from None
        except (ValueError, OSError) as error:
            raise UserError("--to", "", f"{url}: {error}; write file:///… or s3://BUCKET/…") from None

    def prepare(self) -> None:
        """Folders are made where files are written."""

    def current(self) -> Current | None:
        """What is there; ``None`` where nothing is."""
        try:
            told: dict[str, Any] = json.loads(self._fs.cat_file(f"{self._root}/{FACTS}"))
            text = self._fs.cat_file(f"{self._root}/v{told['version']}/{FACTS}")
            changelog = self._fs.cat_file(f"{self._root}/v{told['version']}/{CHANGELOG}").decode()
        except FileNotFoundError:
            return None
        facts: dict[str, Any] = json.loads(text)
        files = {path: str(file["sha256"]) for path, file in facts["files"].items()}
        files[FACTS] = hashlib.sha256(text).hexdigest()
        return Current(f"v{told['version']}", files, changelog, facts)

    def fetch(self, current: Current, path: str, to: Path) -> None:
        """Copy a file of the current version here."""
        self._fs.get_file(f"{self._root}/{current.head}/{path}", str(to))

    def put(self, release: Release, current: Current | None) -> str:
        """Write a version, then name it as the current one; returns its address.

        Raises:
            UserError: The place refuses.
        """
        name = f"v{release.version}"
        try:
            for file in release.files:
                self._write(f"{self._root}/{name}/{file.path}", file, current)
            pointer = json.dumps({"version": release.version}) + "\n"
            self._fs.pipe_file(f"{self._root}/{FACTS}", pointer.encode())
        except OSError as error:
            raise UserError("--to", "", f"{self.url}: {error.strerror or error}") from None
        return f"{self.url}/{name}"

    def _write(self, path: str, file: File, current: Current | None) -> None:
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        if isinstance(file.content, bytes):
            self._fs.pipe_file(path, file.content)
        elif current is not None and current.has(file):
            self._fs.copy(f"{self._root}/{current.head}/{file.path}", path)
        else:
            self._fs.put_file(str(file.content), path)

    def finish(self, release: Release) -> None:
        """Nothing is left to do."""
