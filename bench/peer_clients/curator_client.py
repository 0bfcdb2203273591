"""One run of Curator, in an environment of its own; see `bench/peers.py`."""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"OPENAI_API_KEY": "none", "TELEMETRY_ENABLED": "false", "CURATOR_DISABLE_CACHE": "true"}
os.environ["CURATOR_CACHE_DIR"] = os.environ["HF_HOME"] = tempfile.mkdtemp()
litellm = importlib.util.find_spec("litellm")
if litellm is not None and litellm.origin is not None:  # it ships the tokenizer that Curator would fetch
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers")

from bespokelabs import curator  # noqa: E402 - they read it when they are imported
from meter import Meter, question  # noqa: E402 - as above


class Teacher(curator.LLM):
    """Asks what the row says."""

    def prompt(self, row):
        """As it stands."""
        return row["question"]

    def parse(self, row, reply):
        """Kept as it came."""
        assert reply
        return {"question": row["question"], "reply": reply}


if __name__ == "__main__":
    url, requests, window = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    limits = {"max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10, "max_concurrent_requests": window}
    teacher = Teacher("practice", backend="openai", generation_params={"temperature": 1.0},
                      backend_params={"base_url": url, "require_all_responses": True, **limits})  # fmt: skip
    rows = [{"question": question(number)} for number in range(requests)]
    with Meter() as meter:
        done = teacher(rows)
    assert len(done.dataset) == requests
    meter.show()
