r"""Is the final answer equal to the gold one? Exact for numbers, by algebra in killable workers for the rest.

Enters: (gold, reply) pairs. Leaves: one `Verdict` a pair, in order. The gold may be a bare answer (``18``,
``\frac{1}{2}``), an equation such as SVAMP's ``( 84.0 / 2.0 )``, or a solution that ends in ``#### 18`` or
``\boxed{18}``.

Only a clear difference is ``fail``. Reasons of ``unjudged``: ``gold_unreadable``, ``no_answer``, ``contradiction``
(the box and a later phrase say different things), ``timeout``, ``crashed`` (the worker died or ran out of memory),
``unparsable``, and those of `critics.quantity`, `critics.structure` and `critics.algebra`, which say when a
difference is clear.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import lru_cache
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from pebble import ProcessExpired, ProcessPool

from critics.algebra import compare_by_algebra, start_worker
from critics.final_answer import Rule, read_answer
from critics.quantity import read_quantity
from critics.structure import Judgement, NeedsAlgebra, compare_answers, plain_leaf, spelling
from critics.verdict import Verdict

CRITIC = "math_answer"
_AHEAD = 64  # pairs read beyond the one that is waited for
_RECYCLE = 500  # comparisons after which a worker is replaced: the algebra system's caches only grow
_REMEMBERED = 4096  # comparisons whose outcome is kept: samples of one problem repeat their answers
_LEAST_MEMORY_MB = 512  # the algebra system alone takes most of it


def canonical_answer(text: str, rules: Sequence[Rule] = ("boxed", "phrase")) -> str | None:
    r"""The final answer of a reply in the form that votes are counted by, or ``None`` where it has none.

    Equal numbers read the same (``0.5``, ``1/2``, ``\frac12``); a reply that contradicts itself has no answer.
    """
    found = read_answer(text, rules)
    if found is None:
        return None
    answer = _canonical(found.text)
    return answer if found.rival is None or _canonical(found.rival) == answer else None


class MathAnswer:
    """The critic; a context manager, since it owns worker processes. They start when the first pair needs algebra.

    Args:
        rules: How the final answer is read from a reply.
        workers: Worker processes.
        timeout_s: Wall-clock seconds one comparison may take before its worker is killed.
        memory_mb: Address space of one worker.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = ("boxed", "phrase"),
        *,
        workers: int = 2,
        timeout_s: float = 5.0,
        memory_mb: int = 2048,
    ) -> None:
        if memory_mb < _LEAST_MEMORY_MB:
            raise ValueError(f"memory_mb must be at least {_LEAST_MEMORY_MB}, not {memory_mb}")
        self._rules, self._workers, self._timeout_s, self._memory_mb = tuple(rules), workers, timeout_s, memory_mb
        self._pool: ProcessPool | None = None
        self._compare = lru_cache(maxsize=_REMEMBERED)(self._schedule)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.stop()
            self._pool.join()
            self._pool = None
            self._compare.cache_clear()

    def judge(self, items: Iterable[tuple[str, str]]) -> Iterator[Verdict]:
        """Judge (gold, reply) pairs, one verdict each, in order; reads at most a few dozen pairs ahead."""
        waiting: deque[tuple[str | None, Judgement | Future[Judgement]]] = deque()
        for gold, reply in items:
            waiting.append(self._begin(gold, reply))
            while waiting and (len(waiting) > _AHEAD or _is_done(waiting[0][1])):
                yield self._end(*waiting.popleft())
        while waiting:
            yield self._end(*waiting.popleft())

    def _begin(self, gold: str, reply: str) -> tuple[str | None, Judgement | Future[Judgement]]:
        expected = read_gold(gold)
        found = read_answer(reply, self._rules)
        answer = _canonical(found.text) if found else None
        if expected is None:
            return answer, ("unjudged", "gold_unreadable")
        if found is None or answer is None:
            return None, ("unjudged", "no_answer")
        if found.rival and _canonical(found.rival) != answer:
            return answer, ("unjudged", "contradiction")
        try:
            judgement = compare_answers(expected, found.text, plain_leaf)
            if judgement[0] == "fail" and any(_is_plainly(expected, number) for number in found.nearby):
                judgement = ("unjudged", "several_answers")
            return answer, judgement
        except NeedsAlgebra:
            return answer, self._compare(expected, found.text)

    def _schedule(self, gold: str, answer: str) -> Future[Judgement]:
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=self._workers,
                max_tasks=_RECYCLE,
                initializer=start_worker,
                initargs=(self._memory_mb,),
                context=get_context("spawn"),
            )
        future: Future[Judgement] = self._pool.schedule(
            compare_by_algebra, args=(gold, answer), timeout=self._timeout_s
        )
        return future

    def _end(self, answer: str | None, pending: Judgement | Future[Judgement]) -> Verdict:
        outcome, reason = self._wait(pending) if isinstance(pending, Future) else pending
        return Verdict(CRITIC, outcome, reason, answer)

    def _wait(self, future: Future[Judgement]) -> Judgement:
        deadline = (_AHEAD + 1) * (self._timeout_s + 30)  # every pair ahead times out and its worker starts anew
        try:
            error = future.exception(timeout=deadline)
        except TimeoutError as late:
            error = late
        match error:
            case None:
                return future.result()
            case TimeoutError():
                return "unjudged", "timeout"
            case ProcessExpired() | MemoryError():
                return "unjudged", "crashed"
            case _:
                return "unjudged", "unparsable"


def read_gold(gold: str) -> str | None:
    """The answer in a gold text: after ``####``, in a box, or the whole text where it is the bare answer."""
    if "####" in gold:
        gold = gold.rpartition("####")[2]
    elif found := read_answer(gold):
        gold = found.text
    return gold.strip() or None


def _is_plainly(gold: str, number: str) -> bool:
    try:
        return compare_answers(gold, number, plain_leaf)[0] == "pass"
    except NeedsAlgebra:
        return False


def _is_done(pending: Judgement | Future[Judgement]) -> bool:
    return not isinstance(pending, Future) or pending.done()


def _canonical(text: str) -> str | None:
    quantity = read_quantity(text)
    return quantity.canonical() if quantity else spelling(text) or None
