"""Every provider that is not OpenAI-compatible, through LiteLLM: slower (some 4 ms of CPU a request), same ledger."""

import json
import os
from typing import Any

from teachers.records import Ask
from teachers.wire import RawResponse


class LiteLLMProvider:
    """A model as LiteLLM names it, as in ``anthropic/claude-sonnet-4-5``.

    LiteLLM reads the provider's key from the environment variable that its documentation names.
    """

    def __init__(self) -> None:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a price list when it is imported
        import litellm
        import openai

        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.drop_params = False
        self._complete: Any = litellm.acompletion
        self._status_error = openai.APIStatusError
        self._connection_error = openai.APIConnectionError

    async def __aenter__(self) -> "LiteLLMProvider":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, ask: Ask, first_sample: int, n: int) -> RawResponse:
        """One attempt at `n` choices; LiteLLM's own retries are off.

        Raises:
            OSError: No response came.
        """
        try:
            reply = await self._complete(**json.loads(ask.body(n)), num_retries=0, max_retries=0)
        except self._connection_error as error:
            raise ConnectionError(str(error)) from error
        except self._status_error as error:
            body = json.dumps({"error": {"message": str(error)}}).encode()
            return RawResponse(int(error.status_code), body)
        return RawResponse(200, reply.model_dump_json().encode())
