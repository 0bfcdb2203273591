"""The Hugging Face Hub as the place of publication: one atomic commit a version, and a tag.

Large files go as LFS, in parts, before the commit; those that arrived once are not sent again, so running again goes
on. The commit names its parent: where somebody else committed meanwhile the Hub refuses it, and the release is made
anew over what is there then. Whatever may pass by itself is tried again, after as long as the Hub asks for.

Deviation from the library's way: Xet is off. It needs a service of its own beside the Hub, which mirrors do not have.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_session,
    hf_hub_url,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, hf_raise_for_status, validate_repo_id

from pipelines.errors import RunError, UserError
from pipelines.progress import say
from pipelines.publishing.card import CHANGELOG
from pipelines.publishing.records import FACTS, Current, File, Release
from teachers.wire import parse_retry_after

T = TypeVar("T")

TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name of the variable
_KIND: Final = "dataset"
_PASSING: Final = frozenset({408, 409, 412, 425, 429, 500, 502, 503, 504})
WAITS_S: Final = (1, 2, 4, 8, 16)
"""Between attempts, where nobody asks for another wait."""

_LONGEST_S: Final = 300.0
_TIMEOUT: Final = httpx.Timeout(60, read=600, write=600)


class Moved(Exception):  # noqa: N818 - what to do is to look again
    """A commit did not go through, or nobody knows whether it did: look what is there.

    Attributes:
        wait_s: Before that.
    """

    def __init__(self, why: str, wait_s: float | None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class HubStore:
    """One dataset repository.

    Args:
        place: ``USER/NAME``.
        private: Where it is made here.
        writes: Whether a token is needed.

    Raises:
        UserError: The Hub is not to be asked, or there is no token.
    """

    def __init__(self, place: str, *, private: bool, writes: bool) -> None:
        try:
            validate_repo_id(place)
        except HFValidationError as error:
            raise UserError("--repo", place, str(error)) from None
        if constants.is_offline_mode():
            raise UserError("HF_HUB_OFFLINE", "", "is set, so the Hub is not asked: unset it, or publish --to a folder")
        self.place, self._private = place, private
        disable_progress_bars()
        constants.HF_HUB_DISABLE_XET = True
        _with_deadlines()
        self._token = os.environ.get(TOKEN)
        if writes and not self._token:
            raise UserError(TOKEN, "", "is not set: put a token with write access into this environment variable")
        endpoint = os.environ.get("HF_ENDPOINT")
        self._api = HfApi(endpoint=endpoint, token=self._token or False, library_name="potstill")

    def prepare(self) -> None:
        """Make the repository where there is none.

        Raises:
            UserError: The token may not write here.
        """
        try:
            self._patiently(
                lambda: self._api.create_repo(self.place, repo_type=_KIND, private=self._private or None, exist_ok=True)
            )
        except RepositoryNotFoundError as error:  # also said of a token that the Hub does not know
            raise UserError(TOKEN, "", f"has no write access to {self.place}: {_in_words(error)}") from None

    def current(self) -> Current | None:
        """What is there; ``None`` where there is no such repository.

        Raises:
            UserError: The token or the name is wrong.
            RunError: The Hub does not answer.
        """
        try:
            head = self._patiently(lambda: self._api.repo_info(self.place, repo_type=_KIND)).sha
        except RepositoryNotFoundError:
            return None
        assert head is not None
        listed = self._patiently(
            lambda: list(self._api.list_repo_tree(self.place, repo_type=_KIND, revision=head, recursive=True))
        )
        files = {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in listed if isinstance(one, RepoFile)}
        facts = json.loads(self._text(head, FACTS)) if FACTS in files else None
        return Current(head, files, self._text(head, CHANGELOG) if CHANGELOG in files else "", facts)

    def _text(self, head: str, name: str) -> str:
        def get() -> str:
            response: httpx.Response = get_session().get(self._url(head, name), headers=self._headers())
            hf_raise_for_status(response)
            return response.text

        return self._patiently(get)

    def fetch(self, current: Current, path: str, to: Path) -> None:
        """Copy a file of the current version here, a piece at a time."""

        def copy() -> None:
            with get_session().stream("GET", self._url(current.head, path), headers=self._headers()) as response:
                hf_raise_for_status(response)
                with to.open("wb") as file:
                    file.writelines(response.iter_bytes(2**20))

        self._patiently(copy)

    def _url(self, head: str, name: str) -> str:
        url: str = hf_hub_url(self.place, name, repo_type=_KIND, revision=head, endpoint=self._api.endpoint)
        return url

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def put(self, release: Release, current: Current | None) -> str:
        """Commit a version; returns the commit's address.

        Raises:
            Moved: Look what is there, and make the release anew.
            UserError: The Hub refuses the card, or the token.
        """
        if current is None:
            raise UserError(TOKEN, "", f"may make {self.place}, but not read it: take a token that may")
        new = [file for file in release.files if not current.has(file)]
        try:
            return str(self._commit(release, new, current.head))
        except RuntimeError as error:  # of an upload; what failed is its cause
            cause = error.__cause__
            if isinstance(cause, RunError):
                raise cause from None
            if not isinstance(cause, HfHubHTTPError | httpx.TransportError):
                raise
            raise self._moved(cause) from error
        except (HfHubHTTPError, httpx.TransportError) as error:
            raise self._moved(error) from error
        except ValueError as error:
            raise UserError(self.place, "", f"the Hub refuses it: {error}") from None

    def _commit(self, release: Release, new: list[File], head: str) -> Any:
        operations = [_addition(file) for file in new]
        return self._api.create_commit(
            self.place,
            [*operations, *(CommitOperationDelete(path) for path in release.stale)],
            commit_message=release.message,
            repo_type=_KIND,
            parent_commit=head,
            num_threads=2,
        )

    def finish(self, release: Release) -> None:
        """Tag the version, also where an earlier start got no further than the commit."""
        tag = f"v{release.version}"
        refs = self._patiently(lambda: self._api.list_repo_refs(self.place, repo_type=_KIND))
        if tag not in {one.name for one in refs.tags}:
            self._patiently(lambda: self._api.create_tag(self.place, tag=tag, repo_type=_KIND, exist_ok=True))

    def _patiently(self, ask: Callable[[], T]) -> T:
        waits = iter(WAITS_S)
        while True:
            try:
                return ask()
            except RepositoryNotFoundError:
                raise
            except (HfHubHTTPError, httpx.TransportError) as error:
                moved, wait = self._moved(error), next(waits, None)
                if wait is None:
                    raise RunError(f"{self.place}: {moved}; run again to go on") from error
                pause(moved, wait)

    def _moved(self, error: HfHubHTTPError | httpx.TransportError) -> Moved:
        """What may pass by itself.

        Raises:
            UserError: It may not: the request itself is wrong.
        """
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            if status in (401, 403):
                raise UserError(TOKEN, "", f"has no write access to {self.place}: {_in_words(error)}") from None
            if status not in _PASSING:
                raise UserError("--repo", self.place, _in_words(error)) from None
            return Moved(_in_words(error), parse_retry_after(error.response.headers.get("Retry-After")))
        return Moved(_in_words(error), None)


def pause(moved: Moved, wait_s: float) -> None:
    """Wait as long as the Hub asks for, or else so long."""
    wait = wait_s if moved.wait_s is None else moved.wait_s
    say(f"the Hub: {moved}; trying again in {wait:.0f} s")
    time.sleep(wait)


def _addition(file: File) -> CommitOperationAdd:
    operation = CommitOperationAdd(file.path, file.content)
    operation.upload_info.sha256 = bytes.fromhex(file.sha256)  # known already: the library would read it all again
    return operation


def _in_words(error: HfHubHTTPError | httpx.TransportError) -> str:
    if isinstance(error, HfHubHTTPError):
        told = error.server_message or error.response.reason_phrase
        return f"{error.response.status_code} {told}".strip()
    return f"{type(error).__name__} {error}".strip()


def _with_deadlines() -> None:
    """The library's own client waits for ever, and as long as it is asked to; its guard of the offline mode stays."""
    hooks = {"request": get_session().event_hooks["request"], "response": [_not_too_long]}
    set_client_factory(lambda: httpx.Client(follow_redirects=True, timeout=_TIMEOUT, event_hooks=hooks))


def _not_too_long(response: httpx.Response) -> None:
    wait = parse_retry_after(response.headers.get("Retry-After"))
    if wait is not None and wait > _LONGEST_S:
        raise RunError(
            f"the Hub asks to be left alone for {wait:.0f} s ({response.status_code}): run again then to go on"
        )
