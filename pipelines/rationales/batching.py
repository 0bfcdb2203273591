"""Teachers that are asked in batches."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

from pipelines.progress import say
from pipelines.rationales.preparing import Run
from pipelines.recipes import Teacher
from teachers.batch_asking import BatchCollector
from teachers.batch_folder import BatchFolder
from teachers.batch_service import LocalFiles
from teachers.ledger_rows import LedgerLike
from teachers.metering import Meter
from teachers.openai_batches import OpenAIBatches
from teachers.policy import Policy
from teachers.records import Ask
from teachers.tally import Tally


async def ask_in_batches(
    run: Run,
    teacher: Teacher,
    key: str | None,
    policy: Policy,
    ledger: LedgerLike,
    stop: asyncio.Event,
    show: Callable[[Tally], None],
    meter: Meter,
    asks: Callable[[], Iterable[Ask]],
) -> Tally:
    """Fill the ledger for one teacher; raises as `BatchCollector.ask` does."""
    assert teacher.model is not None
    ledger_file = run.ledger if isinstance(run.ledger, Path) else run.folder.parent.with_name("ledger")
    with BatchFolder(ledger_file.with_suffix(".batches")) as folder:
        async with (
            nullcontext(LocalFiles())
            if teacher.batch == "files"
            else OpenAIBatches(teacher.base_url, api_key=key, timeout_s=teacher.timeout_s)
        ) as service:
            collector = BatchCollector(
                service, folder, ledger, policy, teacher.label, teacher.model, run.id, stop, show, say, meter
            )
            return await collector.ask(asks)
