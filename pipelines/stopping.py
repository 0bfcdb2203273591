"""SIGINT and SIGTERM: the first asks a run to stop and keep what is in flight, the second ends it at once."""

import asyncio
import signal
import threading

from pipelines.progress import say

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals(stop: asyncio.Event, drain_s: float) -> None:
    """Set `stop` at the first signal; from then on, signals do what they do by default.

    Args:
        stop: Watched by all that ask.
        drain_s: How long that may still take, in seconds; for the message.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        say(f"stopping: up to {drain_s:g} s for what is in flight; once more to end at once")
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, first)
