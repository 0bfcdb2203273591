"""Where the CPU time of asking goes, by part: the stage of `throughput.py`, sampled while it runs.

    python bench/cpu_shares.py [--requests 20000] [--window 256] [--latency 0.2]

A timer that runs while the process computes interrupts it 500 times a second, and each time the innermost frame that
belongs to a part says who was at work. The stage runs in this process here, not in a child; the rest is the same.
"""

import argparse
import gc
import resource
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType

from throughput import ROOT, prepared, serving

_EVERY_S = 0.002
PARTS = {
    "questions from Parquet, prompt, key": ("prompts/", "jinja2/", "teachers/records.py",
                                            "pipelines/rationales/asks.py", "pipelines/tables.py",
                                            "pipelines/run_folder.py"),
    "send and receive (aiohttp)": ("aiohttp/", "teachers/openai_endpoint.py", "multidict/", "yarl/"),
    "ledger: reply, claim, fsync": ("teachers/ledger.py", "teachers/ledger_rows.py", "teachers/sqlite_tables.py",
                                    "teachers/group_sync.py", "teachers/claims.py"),
    "lane: turns and window": ("teachers/flow_control.py", "teachers/adaptive_window.py", "teachers/breaker.py",
                               "teachers/pace.py"),
    "budget": ("teachers/budget.py", "teachers/metering.py", "teachers/prices.py"),
    "reading the reply": ("teachers/wire.py",),
    "trace, progress": ("teachers/trace.py", "pipelines/asking/tracing.py", "pipelines/progress.py",
                        "pipelines/asking/note.py", "pyarrow/"),
    "workers, deadlines": ("teachers/asking.py", "teachers/policy.py", "asyncio/timeouts.py"),
}  # fmt: skip
_REST = "event loop (uvloop), start and end"


def main() -> int:
    """Run, sample, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.2)
    args = parser.parse_args()
    found: Counter[str] = Counter()
    with serving(args.latency) as url:
        spent = sampled(url, args.requests, args.window, found)
    total = found.total()
    print(f"{args.requests} requests, {spent / args.requests * 1000:.2f} ms CPU each; {total} samples\n")
    print("| part | share | us a request |")
    print("|---|---:|---:|")
    for part, count in found.most_common():
        print(f"| {part} | {count / total:.0%} | {count / total * spent / args.requests * 1e6:.0f} |")
    return 0


def sampled(url: str, requests: int, window: int, found: Counter[str]) -> float:
    """Seconds of CPU that asking took."""
    from pipelines.asking import session
    from pipelines.rationales import teaching

    def sample(_: int, frame: FrameType | None) -> None:
        found[part_of(frame)] += 1

    signal.signal(signal.SIGPROF, sample)
    with tempfile.TemporaryDirectory() as scratch, prepared(Path(scratch), url, requests, window) as run:
        session.can_fork = lambda: False  # type: ignore[assignment]
        gc.freeze()
        gc.set_threshold(50_000)
        before = cpu()
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
        teaching.ask_teachers(run)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return cpu() - before


def cpu() -> float:
    """Seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def part_of(frame: FrameType | None) -> str:
    """Who is at work: the innermost frame that belongs to a part."""
    while frame is not None:
        name = frame.f_code.co_filename.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2]
        name = name.rpartition("python3")[2].partition("/")[2] if "/lib/python3" in name else name
        for part, files in PARTS.items():
            if name.startswith(files):
                return part
        frame = frame.f_back
    return _REST


if __name__ == "__main__":
    sys.exit(main())
