"""Serving: a model behind an OpenAI-compatible address of this machine, for as long as a block lasts.

Enters: what to serve (`Served`). Leaves: an address that answers. The server is vLLM, in an environment of its own, as
a child process that `keeper` holds on a leash: it ends with the block, with an error in it, with Ctrl-C, and when this
process is killed; its memory, the GPU's too, returns with it. All that it says is in a log file.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

_KEEPER: Final = Path(__file__).with_name("keeper.py")
_STARTUP_S: Final = 1800.0  # weights of a large model are read from a slow disk
_LOOK_EVERY_S: Final = 0.25
_SAY_EVERY_S: Final = 10.0
_END_S: Final = 30.0
_PORTS: Final = 3  # tried, where another program takes one just before the server does
_LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM knows
_TAIL_BYTES: Final = 64 * 1024
_NO_MEMORY: Final = (
    "out of memory",
    "OutOfMemory",
    "MemoryError",
    "bad_alloc",
    "allocate memory",
    "vailable memory",
    "KV cache",
    "Free memory on device",
)
_ERROR: Final = re.compile(r"(?:^|\] )((?:\w+\.)*[A-Z]\w*(?:Error|Exception)\b: .+)$", re.MULTILINE)
_PORT_TAKEN: Final = ("address already in use", "Address already in use")


class ServingError(Exception):
    """A model cannot be served, or its server has ended; the text says why, and the mend."""


@dataclass(frozen=True, slots=True)
class Served:
    """What is served, and how.

    Attributes:
        model: A folder as `transformers` saves them, or a name on the Hub.
        name: What requests call it; the ledger knows replies by it, so two checkpoints must not share one.
        python: Of the environment that vLLM is installed in.
        adapter: Folder of a LoRA adapter over `model`; requests then reach the adapted model.
        dtype: As vLLM names them: ``auto``, ``float32``, ``bfloat16``…
        max_model_len: Tokens of prompt and completion together; ``None`` for what the model was made for.
        options: More of vLLM's, as on its command line.
    """

    model: str
    name: str
    python: Path
    adapter: Path | None = None
    dtype: str = "auto"
    max_model_len: int | None = None
    options: Sequence[str] = ()

    def command(self, port: int) -> list[str]:
        """The server's command line."""
        command = [str(self.python), "-m", "vllm.entrypoints.openai.api_server", "--model", self.model]
        command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", self.dtype]
        if shutil.which("nvidia-smi") is None:
            command.append("--enforce-eager")  # compiling for a processor takes minutes and a compiler
        if self.max_model_len is not None:
            command += ["--max-model-len", str(self.max_model_len)]
        if self.adapter is None:
            return [*command, "--served-model-name", self.name, *self.options]
        rank = next((known for known in _LORA_RANKS if known >= lora_rank(self.adapter)), _LORA_RANKS[-1])
        command += ["--served-model-name", f"{self.name}-base", "--enable-lora", "--max-lora-rank", str(rank)]
        return [*command, "--lora-modules", f"{self.name}={self.adapter}", *self.options]


def lora_rank(adapter: Path) -> int:
    """The rank of a LoRA adapter, from its configuration.

    Raises:
        ServingError: The folder holds none.
    """
    try:
        rank: int = json.loads((adapter / "adapter_config.json").read_text())["r"]
    except (OSError, ValueError, KeyError):
        raise ServingError(f"{adapter} holds no LoRA adapter: adapter_config.json with its rank r is missing") from None
    return rank


class Server:
    """One server; use as a context manager.

    Args:
        served: What to serve.
        log: Where the server's words go; written anew.
        say: Told how starting goes on.
        startup_s: How long that may take.

    Attributes:
        base_url: Its address, as ``http://127.0.0.1:PORT/v1``.
    """

    def __init__(
        self, served: Served, log: Path, say: Callable[[str], object], *, startup_s: float = _STARTUP_S
    ) -> None:
        self._served, self._log, self._say, self._startup_s = served, log, say, startup_s
        self._keeper: subprocess.Popen[bytes] | None = None
        self.base_url = ""

    def __enter__(self) -> "Server":
        """Start the server and wait until it answers.

        Raises:
            ServingError: It does not come up.
        """
        for tries_left in reversed(range(_PORTS)):
            self._start(_free_port())
            try:
                self._wait()
            except BaseException:
                self._end()
                if tries_left and any(mark in self._tail() for mark in _PORT_TAKEN):
                    continue
                raise
            return self
        raise AssertionError("the last try returns or raises")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def fault(self) -> str | None:
        """Why the server has ended; ``None`` while it runs."""
        assert self._keeper is not None
        code = self._keeper.poll()
        if code is None:
            return None
        why, error = f"the server of {self._served.name} has ended (exit code {code})", self._first_error()
        if any(mark in error for mark in _NO_MEMORY):
            why += f": out of memory: {error}: lower serve.max_model_len, or what serve.options reserve"
        elif code == 128 + 9:
            why += ": it was killed, perhaps by the system for its memory"
        elif error:
            why += f": {error}"
        return f"{why}; its log: {self._log}"

    def _start(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-I", str(_KEEPER), *self._served.command(port)]
        with self._log.open("wb") as log:
            self._keeper = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=self._environment()
            )

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name != "VLLM_API_KEY"}
        environment |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        environment.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; without it half of the machine's
        if Path(self._served.model).is_dir():
            environment["HF_HUB_OFFLINE"] = "1"
        return environment

    def _wait(self) -> None:
        started = time.monotonic()
        say_at = started + _SAY_EVERY_S
        while not self._answers():
            if (fault := self.fault()) is not None:
                raise ServingError(fault)
            now = time.monotonic()
            if now - started > self._startup_s:
                raise ServingError(f"{self._served.name} is not up after {self._startup_s:.0f} s; log: {self._log}")
            if now >= say_at:
                self._say(f"starting {self._served.name}: {now - started:.0f} s; {self._last_line()}")
                say_at = now + _SAY_EVERY_S
            time.sleep(_LOOK_EVERY_S)
        self._say(f"{self._served.name} is up after {time.monotonic() - started:.0f} s at {self.base_url}")

    def _answers(self) -> bool:
        """Whether it is this model that answers, and not another program that took the port."""
        try:
            with urllib.request.urlopen(f"{self.base_url}/models", timeout=2) as reply:  # noqa: S310 - loopback
                told: dict[str, Any] = json.load(reply)
        except (OSError, ValueError):
            return False
        return any(model.get("id") == self._served.name for model in told.get("data", []))

    def _end(self) -> None:
        keeper = self._keeper
        if keeper is None:
            return
        assert keeper.stdin is not None
        keeper.stdin.close()
        try:
            keeper.wait(_END_S)
        except subprocess.TimeoutExpired:
            keeper.terminate()
            keeper.wait(_END_S)

    def _first_error(self) -> str:
        """What came first is the cause; engines and servers around it only fail after it."""
        found = _ERROR.search(self._tail())
        return " ".join(found[1].split())[:300] if found else ""

    def _last_line(self) -> str:
        lines = self._tail().split("\n")
        return " ".join(next((line for line in reversed(lines) if line.strip()), "").split())[-120:]

    def _tail(self) -> str:
        with self._log.open("rb") as log:
            return _tail(log)


def _tail(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return log.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
