"""The critic on recorded tails: does precision against people's tails rise with the cut-off, how fast, how varied?

    python bench/atomic2020.py [--queries 5000] [--out FOLDER]

Nine sampled tails and the greedy one to each of 5,000 queries of ATOMIC-2020's test set, written by COMET-BART, which
learnt from people's tails and is no language-model teacher. They are ordered by the critic of
bench/real/critic_cskb.yaml with its first seed, which is trained first where it is not there. A tail is right here
where people wrote it for the same head and relation, which most plausible tails are not: precisions are far below what
people would say, and only their order is told. Three rules:

- exact: the words of one of the query's human tails, without case, punctuation and a leading "to" or article;
- soft: a BLEU of order 2 above 0.5 with one of them;
- near: a cosine of 0.7 and more with one of them, by the critic's own encoder, so the least independent of the three.

Queries without a human tail but "none" are left out, and so are relations of which the critic saw no label. Intervals:
95 %, bootstrap over heads.
"""

import argparse
import gzip
import json
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU
from sklearn.metrics import roc_auc_score

from critics.contamination import words
from critics.sentence_encoder import BUNDLED, SentenceEncoder
from critics.soft_uniqueness import SoftUnique
from critics.trained_critic import TrainedCritic, load_critic
from pipelines.running import run_recipe

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data" / "atomic2020" / "BART-atomic_2020.jsonl.gz"
RECIPE = ROOT / "bench" / "real" / "critic_cskb.yaml"
RECALLS = (0.9, 0.8, 0.7, 0.6, 0.5)
_SOFT, _NEAR, _DRAWS = 0.5, 0.7, 500
_LEADING = {"to", "a", "an", "the"}
BLEU_2 = BLEU(max_ngram_order=2, effective_order=True)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recorded tail, beside what people wrote."""

    head: str
    relation: str
    tail: str
    human: tuple[str, ...]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=ROOT / "datasets_out", help="where the critic's run is, or goes")
    parser.add_argument("--labels", type=Path, help="write what is exact as labels here, and end: a recipe's sample")
    args = parser.parse_args()
    critic = trained(args.out)
    candidates, dropped = recorded(args.queries, set(critic.view.words["relation"]))
    print(f"{len(candidates):,} distinct triples of COMET-BART; left out: {dict(dropped)}")
    if args.labels:
        _write_labels(args.labels, candidates)
        return
    p_valid = timed(critic, candidates)
    matched = {name: rule(candidates) for name, rule in RULES.items()}
    _print_order(candidates, p_valid, matched)
    _print_curve(critic, candidates, p_valid, matched)
    _print_variety(critic, candidates, p_valid)


def trained(out: Path, seed: int = 1) -> TrainedCritic:
    """The recipe's critic of one seed."""
    done = run_recipe(RECIPE, [f"seeds=[{seed}]"], out, prefect=False)
    return load_critic(done.run.folder / "critic")


def recorded(queries: int, relations: set[str]) -> tuple[list[Candidate], Counter[str]]:
    """The distinct tails of each query, and why others are left out."""
    dropped: Counter[str] = Counter()
    candidates: dict[tuple[str, str, str], Candidate] = {}
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(queries), lines, strict=False)]
    for row in rows:
        tails = [*row["generations"], row["greedy"]]
        human = tuple(tail for tail in row["tails"] if plain(tail) not in ("", "none"))
        reason = _unfit(row["relation"], human, relations)
        for tail in tails:
            key = row["head"], row["relation"], plain(tail)
            why = reason or ("none" if key[2] in ("", "none") else "repeated" if key in candidates else "")
            if why:
                dropped[why] += 1
            else:
                candidates[key] = Candidate(row["head"], row["relation"], tail, human)
    return list(candidates.values()), dropped


def _unfit(relation: str, human: Sequence[str], relations: set[str]) -> str:
    if relation not in relations:
        return "relation without labels"
    return "" if human else "no human tail"


def plain(tail: str) -> str:
    """A tail's words, by which tails are the same."""
    said = words(tail)
    return " ".join(said[1:] if len(said) > 1 and said[0] in _LEADING else said)


def _write_labels(path: Path, candidates: Sequence[Candidate]) -> None:
    """For the card of a `commonsense` run over the same tails: how precision goes along its cut-offs."""
    with path.open("w", encoding="utf-8") as file:
        for one, right in zip(candidates, exact(candidates).tolist(), strict=True):
            row = {"head": one.head, "relation": one.relation, "tail": one.tail, "label": int(right)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def timed(critic: TrainedCritic, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Probabilities, streamed as a run streams them."""
    rows = ({"head": one.head, "relation": one.relation, "tail": one.tail} for one in candidates)
    before, started, worked = _peak_mb(), time.perf_counter(), time.process_time()
    found = np.array([scored.p_valid for scored in critic.score(rows)], dtype=np.float64)
    took, busy = time.perf_counter() - started, time.process_time() - worked
    texts = len({one.head for one in candidates}) + len({(one.relation, one.tail) for one in candidates})
    print(
        f"scored in {took:.0f} s, {busy:.0f} CPU s: {len(found) / took:,.0f} triples/s, {len(found) / busy:,.0f} a "
        f"CPU second; {texts:,} distinct texts; peak memory {_peak_mb():,.0f} MB, {_peak_mb() - before:,.0f} MB more"
    )
    return found


def exact(candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    """People wrote the same words."""
    return np.array([plain(one.tail) in map(plain, one.human) for one in candidates])


def soft(candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    """People wrote nearly the same words."""
    scores = (
        max(BLEU_2.sentence_score(plain(one.tail), [plain(human)]).score for human in one.human) for one in candidates
    )
    return np.array([score > 100 * _SOFT for score in scores])


def near(candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    """People wrote what means about the same."""
    texts = list(dict.fromkeys(plain(text) for one in candidates for text in (one.tail, *one.human)))
    at = {text: row for row, text in enumerate(texts)}
    vectors = SentenceEncoder(BUNDLED).encode(texts)
    return np.array(
        [
            bool((vectors[[at[plain(human)] for human in one.human]] @ vectors[at[plain(one.tail)]]).max() >= _NEAR)
            for one in candidates
        ]
    )


RULES: dict[str, Callable[[Sequence[Candidate]], NDArray[np.bool_]]] = {"exact": exact, "soft": soft, "near": near}


def _print_order(
    candidates: Sequence[Candidate], p_valid: NDArray[np.float64], matched: dict[str, NDArray[np.bool_]]
) -> None:
    relations = np.array([one.relation for one in candidates])
    for name, right in matched.items():
        within = {
            relation: float(roc_auc_score(right[relations == relation], p_valid[relations == relation]))
            for relation in sorted(set(relations))
            if 0 < right[relations == relation].sum() < (relations == relation).sum()
        }
        mean = np.average(list(within.values()), weights=[(relations == relation).sum() for relation in within])
        print(f"{name}: AUC {roc_auc_score(right, p_valid):.3f}; within a relation {mean:.3f}")
        print("  " + ", ".join(f"{relation} {area:.2f}" for relation, area in within.items()))


def _print_curve(
    critic: TrainedCritic,
    candidates: Sequence[Candidate],
    p_valid: NDArray[np.float64],
    matched: dict[str, NDArray[np.bool_]],
) -> None:
    relations = np.array([one.relation for one in candidates])
    rank = np.empty(len(p_valid))
    for relation in set(relations):
        own = np.flatnonzero(relations == relation)
        rank[own[np.argsort(-p_valid[own], kind="stable")]] = np.arange(1, len(own) + 1) / len(own)
    heads = [one.head for one in candidates]
    print(f"| kept | triples | share | {' | '.join(matched)} |")
    cuts = {f"at recall {recall:g}": p_valid >= critic.thresholds.recalls[recall] for recall in RECALLS}
    best = {f"best {share:g} of each relation": rank <= share for share in RECALLS}
    for name, kept in {"all": np.ones(len(p_valid), dtype=bool), **cuts, **best}.items():
        cells = [_interval(right, kept, heads) for right in matched.values()]
        print(f"| {name} | {kept.sum():,} | {100 * kept.mean():.0f} % | {' | '.join(cells)} |")


def _interval(right: NDArray[np.bool_], kept: NDArray[np.bool_], heads: Sequence[str]) -> str:
    """Precision in percent with its interval."""
    place = {head: row for row, head in enumerate(dict.fromkeys(heads))}
    group = np.array([place[head] for head in heads])
    hits, sizes = (np.bincount(group, part, len(place)) for part in (right & kept, kept))
    drawn = np.random.default_rng(0).integers(len(place), size=(_DRAWS, len(place)))
    shares = hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(shares, (2.5, 97.5))
    return f"{100 * hits.sum() / sizes.sum():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _print_variety(critic: TrainedCritic, candidates: Sequence[Candidate], p_valid: NDArray[np.float64]) -> None:
    print("| kept at recall | triples | distinct tails | softly unique triples | softly unique tails |")
    for recall in (1.0, 0.8, 0.5):
        kept = p_valid >= (critic.thresholds.recalls[recall] if recall < 1 else 0)
        some = [one for one, keep in zip(candidates, kept, strict=True) if keep]
        tails = dict.fromkeys(one.tail for one in some)
        told = (f"{one.head} {one.relation} {one.tail}" for one in some)
        print(f"| {recall:g} | {len(some):,} | {len(tails):,} | {_soft_unique(told):,} | {_soft_unique(tails):,} |")


def _soft_unique(texts: Iterable[str]) -> int:
    matches = SoftUnique(_SOFT).matches([(str(row), text) for row, text in enumerate(texts)])
    return sum(match is None for match in matches)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
