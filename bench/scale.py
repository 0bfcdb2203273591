"""A Ray cluster of two workers over one PostgreSQL ledger, and a worker that is killed while the run asks.

    python bench/scale.py --ledger postgresql://… [--questions 400] [--latency 0.5] [--kills 1] [--rpm 3000]

--ledger names an empty database. A practice teacher on loopback counts what it delivers. First the run is made by the
thread runner over a ledger of its own in a file; then on the cluster, whose workers are killed with SIGKILL while they
ask. Prints the replies delivered twice, whether the datasets are equal byte for byte, and how many replies came in the
busiest two seconds beside what --rpm allows. Exit status 1 when a reply came twice or not at all, or the datasets
differ.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kill import ROOT, Teacher, command, run_to_the_end, write_inputs

_WINDOW_S = 2.0


def main() -> int:
    """Run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--latency", type=float, default=0.5)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--rpm", type=int, default=3000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Teacher(args.latency) as teacher, cluster():
        folder = Path(scratch)
        write_inputs(folder, teacher.url, args.questions)
        threads = run_to_the_end(folder, "threads")
        needed = len(teacher.deliveries())
        options = ["--set", f"ledger={args.ledger}", "--set", "runner=ray"]
        options += ["--set", f"teacher.requests_per_minute={args.rpm}"]
        process = subprocess.Popen(command(folder, "ray", options), stdout=subprocess.DEVNULL, cwd=ROOT)
        started = time.monotonic()
        for number in range(args.kills):
            wanted = needed + (number + 1) * needed // (args.kills + 2)
            print(f"killed {kill_a_worker(teacher, wanted, process)} of the workers")
        assert process.wait() == 0
        print(f"on the cluster: {time.monotonic() - started:.0f} s")
        same = run_to_the_end(folder, "ray", options) == threads
        deliveries = teacher.deliveries()[needed:]
    keys = [key for key, _ in deliveries]
    twice = len(keys) - len(set(keys))
    busiest = most_in(sorted(moment for _, moment in deliveries), _WINDOW_S)
    allowed = args.rpm / 60 * _WINDOW_S
    print(f"delivered {len(keys)} of {needed}, twice: {twice}; datasets equal byte for byte: {same}")
    print(f"deliveries in the busiest {_WINDOW_S:g} s: {busiest}; the limit allows {allowed:.0f}")
    return 0 if same and not twice and len(keys) == needed else 1


@contextmanager
def cluster() -> Iterator[None]:
    """A head and a second node with a CPU each, as Ray starts them on two machines."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    both = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    both.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = both.address
    try:
        yield
    finally:
        both.shutdown()


def kill_a_worker(teacher: Teacher, delivered: int, run: "subprocess.Popen[bytes]") -> str:
    """Kill one worker that works on a shard, once so many replies have been delivered in all."""
    while run.poll() is None:
        busy = [pid for pid, name in processes() if name.startswith("ray::_told")]
        if teacher.delivered() >= delivered and busy:
            os.kill(busy[0], signal.SIGKILL)
            return f"1 of {len(busy)}"
        time.sleep(0.02)
    return "none"


def processes() -> Iterator[tuple[int, str]]:
    """Every process of this machine, and what it calls itself."""
    for folder in Path("/proc").iterdir():
        try:
            name = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if folder.name.isdigit():
            yield int(folder.name), name


def most_in(moments: list[float], seconds: float) -> int:
    """The most of `moments` within so many seconds."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moments[first] < moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


if __name__ == "__main__":
    sys.exit(main())
