"""``potstill export``: a finished graph in the form that another tool reads.

Enters: ``triples/*.parquet`` of a run, a row group at a time. Leaves: one file, or for ``sft`` a folder of tables that
the ``train`` flow reads; complete or not at all. Memory is that of a row group; GraphML needs a digest of each text
beside it, since it must name every node once.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from critics.audit_store import StoreError
from critics.labels import Labels
from pipelines.commonsense import graph_formats
from pipelines.commonsense.records import RECALLS, SPLITS, Triple
from pipelines.errors import UserError
from pipelines.review.spot_check import GRAPH, STORE
from pipelines.tables import TableWriter, read_table, whole_file

Format = Literal["jsonl", "tsv", "ntriples", "graphml", "sft", "labels"]

_VALUES: Final = {"always": 2, "sometimes": 1, "never": -1, "invalid": -2, "unfamiliar": -9}
"""Human labels as West et al. (arXiv 2110.07178) publish them."""


@dataclass(frozen=True, slots=True)
class VerbalisedTriple:
    """A row to learn from, in TRL's prompt-completion format: the triple's sentence up to the tail, then the tail."""

    id: str
    head: str
    relation: str
    prompt: list[dict[str, str]]
    completion: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows were written, and why others were not."""

    rows: int
    left_out: Counter[str]


def export(run: Path, to: Format, out: Path, cut: float | None) -> Exported:
    """Write a run's triples, or people's labels of them.

    Args:
        run: A run folder of the ``commonsense`` flow.
        to: The form.
        out: The file, or for ``sft`` the folder.
        cut: Only triples above the cut-off of this recall: 0.5 is the strictest; ``None`` for all.

    Raises:
        UserError: There is no graph, not one triple is left, a row cannot be told in this form, or `out` not written.
    """
    try:
        return _export(run, to, out, cut)
    except OSError as error:
        raise UserError("--out", "", f"cannot write {error.filename or out}: {error.strerror}") from None
    except StoreError as error:
        raise UserError(run, "RUN", str(error)) from None


def _export(run: Path, to: Format, out: Path, cut: float | None) -> Exported:
    if not all(_table(run, split).is_file() for split in SPLITS):
        raise UserError(run, "RUN", "has no triples/{train,validation,test}.parquet: name a run of flow: commonsense")
    if to == "labels":
        return _labels(run, out)
    left_out: Counter[str] = Counter()
    if to == "sft":
        rows = sum(_sft(run, split, out / f"{split}.parquet", cut, left_out) for split in SPLITS)
    else:
        triples = (triple for split in SPLITS for triple in _kept(run, split, cut, left_out))
        with whole_file(out) as file:
            rows = graph_formats.WRITERS[to](triples, file)
            if not rows:
                raise _nothing(left_out)
    return Exported(rows, left_out)


def _nothing(left_out: Counter[str]) -> UserError:
    return UserError("--cut", "", f"not one triple is left: {dict(left_out)}")


def _table(run: Path, split: str) -> Path:
    return run / "triples" / f"{split}.parquet"


def _kept(run: Path, split: str, cut: float | None, left_out: Counter[str]) -> Iterator[Triple]:
    for triple in read_table(_table(run, split), Triple):
        above = True if cut is None else _above(triple)[cut]
        if above:
            yield triple
        else:
            left_out["no_cut_off" if above is None else "below_cut_off"] += 1


def _above(triple: Triple) -> dict[float, bool | None]:
    told = triple.rec_05, triple.rec_06, triple.rec_07, triple.rec_08, triple.rec_09
    return dict(zip(RECALLS, told, strict=True))


def _sft(run: Path, split: str, out: Path, cut: float | None, left_out: Counter[str]) -> int:
    with TableWriter(out, VerbalisedTriple) as table:
        for triple in _kept(run, split, cut, left_out):
            if not triple.text.endswith(triple.tail):
                raise UserError(_table(run, split), "text", f"the sentence of {triple.id} does not end with its tail")
            asked = triple.text.removesuffix(triple.tail).rstrip()
            prompt = [{"role": "user", "content": asked}]
            completion = [{"role": "assistant", "content": triple.tail}]
            table.write(VerbalisedTriple(triple.id, triple.head, triple.relation, prompt, completion))
        if split == "train" and not table.rows:
            raise _nothing(left_out)
    return table.rows


def _labels(run: Path, out: Path) -> Exported:
    """People's labels with the triples that they are of, for the ``train-critic`` flow: a line a label."""
    if not (run / STORE).is_file():
        raise UserError(run, "RUN", "nobody has labelled anything yet: potstill review RUN --table triples/train")
    said: dict[str, list[dict[str, Any]]] = {}
    with Labels(run / STORE) as store:
        for label in store.labels():
            if label.table.startswith(f"{GRAPH.parent}/"):
                told = {"reviewer": label.reviewer, "verdict": label.verdict, "valid": _VALUES[label.verdict]}
                said.setdefault(label.row_id, []).append(told)
    rows = 0
    with whole_file(out) as file:
        for split in SPLITS if said else ():
            for triple in read_table(_table(run, split), Triple):
                for told in said.pop(triple.id, ()):
                    file.write(graph_formats.json_line({**graph_formats.atomic(triple), "id": triple.id, **told}))
                    rows += 1
        if not rows:
            raise UserError(run, "RUN", "nobody has labelled a triple yet: potstill review RUN --table triples/train")
    return Exported(rows, Counter({"no_such_triple": sum(map(len, said.values()))} if said else {}))
