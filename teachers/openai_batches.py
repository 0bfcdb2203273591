"""OpenAI's Batch API, and those of providers that copy it, through the ``openai`` package."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from teachers.batch_folder import Batch
from teachers.batch_service import Standing, State
from teachers.errors import EndpointError

if TYPE_CHECKING:
    from openai.types import Batch as Remote

_TAG: Final = "potstill"
_CLOCKS_APART_S: Final = 3600.0
_STATES: Final[dict[str, State]] = {
    "completed": "completed",
    "expired": "expired",
    "cancelled": "cancelled",
    "failed": "failed",
}
_KEYS: Final = {401: "api_key_env", 403: "api_key_env", 404: "base_url"}


class OpenAIBatches:
    """The Files and Batches routes of one endpoint; use as an asynchronous context manager.

    Args:
        base_url: As in ``https://api.openai.com/v1``.
        api_key: ``None`` for a server that wants none.
        timeout_s: Of one call, uploads and downloads aside.
    """

    def __init__(self, base_url: str, *, api_key: str | None, timeout_s: float) -> None:
        import openai

        self.place = base_url.rstrip("/")
        # Its own retries are off: creating a batch a second time would buy it a second time.
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key or "none", max_retries=0, timeout=timeout_s
        )

    async def __aenter__(self) -> "OpenAIBatches":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def create(self, batch: Batch, requests: Path) -> str:
        """Upload the requests and buy the batch."""
        with _errors():
            file = await self._client.files.create(file=requests, purpose="batch")
            made = await self._client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_TAG: batch.tag},
            )
        return made.id

    async def find(self, batch: Batch) -> str | None:
        """Look for the tag, newest batches first, back to when it was made."""
        with _errors():
            async for remote in self._client.batches.list(limit=100):
                if (remote.metadata or {}).get(_TAG) == batch.tag:
                    return remote.id
                if remote.created_at < batch.made_at - _CLOCKS_APART_S:
                    return None
        return None

    async def standing(self, batch: Batch, results: Path) -> Standing:
        """Ask how far it is."""
        import openai

        try:
            with _errors():
                remote = await self._client.batches.retrieve(batch.id)
        except EndpointError as error:
            if not isinstance(error.__cause__, openai.NotFoundError):
                raise
            mend = f"use the key that made it, or remove {results.with_name(batch.tag)}.json to ask for its rows again"
            raise EndpointError(f"no batch {batch.id} is known here: {mend}", key="api_key_env") from error
        counts = remote.request_counts
        files = tuple(name for name in (remote.output_file_id, remote.error_file_id) if name)
        return Standing(
            _STATES.get(remote.status, "out"),
            counts.completed + counts.failed if counts else 0,
            files,
            _problem(remote),
        )

    async def fetch(self, standing: Standing, results: Path) -> None:
        """Download the results, errors included, one file after the other."""
        with _errors(), results.open("wb") as file:
            for name in standing.files:
                async with self._client.files.with_streaming_response.content(name) as content:
                    async for part in content.iter_bytes():
                        file.write(part)

    def told(self, batch: Batch, requests: Path, results: Path) -> str:
        """Its id, and that waiting is not needed."""
        return f"batch {batch.id} is out with {batch.rows} requests; Ctrl-C leaves it out, running again collects it"


def _problem(remote: "Remote") -> str:
    errors = (remote.errors.data if remote.errors else None) or []
    return "; ".join(str(error.message) for error in errors[:3])


@contextmanager
def _errors() -> Iterator[None]:
    import httpx
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        if error.code == "insufficient_quota":
            raise EndpointError(f"HTTP 429: {error.message}", key="api_key_env") from error
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            raise ConnectionError(f"HTTP {error.status_code}: {error.message}") from error
        text = f"the batch interface refuses: HTTP {error.status_code}: {error.message}"
        raise EndpointError(text, key=_KEYS.get(error.status_code, "batch")) from error
    except (openai.APIConnectionError, httpx.HTTPError) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
