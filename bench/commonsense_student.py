"""Does a critic make a better student? West et al.'s ablation (arXiv 2110.07178), as small as it gets.

    python bench/commonsense_student.py [--seeds 5] [--steps 150] [--queries 1000] [--out FOLDER]

COMET-BART's recorded tails (bench/atomic2020.py) are the corpus. For each seed its heads are split anew, and a
student, a causal language model of half a million random weights, learns for equally many steps from the training
heads' triples: all of them; the best 80 % of each relation by the critic; the best 40 %; and, since a smaller corpus is
another thing than a cleaner one, 40 % drawn at random. Each student then writes a tail, greedily, to the queries of
held-out heads.

- accepted: by a critic that was trained with another seed, from the same labels: a relative of the filter's.
- BLEU (order 2), ROUGE-L: the best of the human tails, mean over queries. near: their highest cosine by MiniLM.
- distinct: different tails, in hundreds of queries.

Mean over seeds and, of the difference to "all", the mean with a 95 % interval (Student's t over the seeds' own
differences, each with its own heads, first weights and order).
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from scipy.stats import t as student_t
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).parent.parent))
from bench.atomic2020 import BLEU_2, ROOT, Candidate, plain, recorded, trained
from critics.sentence_encoder import BUNDLED, Encodes, Remembering, SentenceEncoder
from critics.trained_critic import TrainedCritic
from students.pretrain import Settings, pretrain

CORPORA = ("all", "best 80 %", "best 40 %", "random 40 %")
MEASURES = ("accepted", "BLEU", "ROUGE-L", "near", "distinct")
_BATCH, _TEST_SHARE, _MOST_QUERIES, _MOST_TOKENS = 32, 0.2, 200, 14
_ROUGE = RougeScorer(["rougeL"])


@dataclass(frozen=True, slots=True)
class World:
    """What all seeds share."""

    candidates: Sequence[Candidate]
    p_valid: NDArray[np.float64]
    tokenizer: PreTrainedTokenizerFast
    phrases: dict[str, str]
    judge: TrainedCritic
    encoder: Encodes


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / "datasets_out", help="where the critics' runs are, or go")
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    world = _world(args.queries, args.out)
    print(f"{len(world.candidates):,} triples of {len({one.head for one in world.candidates}):,} heads")
    scores = np.array([_seed(world, seed, args.steps) for seed in range(args.seeds)])
    _print_table(scores)
    print(f"{time.process_time() - started:.0f} CPU s in all")


def _world(queries: int, out: Path) -> World:
    critic, judge = trained(out), trained(out, seed=2)
    phrases = dict(critic.view.words["relation"])
    candidates, _ = recorded(queries, set(phrases))
    rows = ({"head": one.head, "relation": one.relation, "tail": one.tail} for one in candidates)
    p_valid = np.array([scored.p_valid for scored in critic.score(rows)], dtype=np.float64)
    tokenizer = _tokenizer([text for one in candidates for text in (one.head, phrases[one.relation], one.tail)])
    return World(candidates, p_valid, tokenizer, phrases, judge, Remembering(SentenceEncoder(BUNDLED)))


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _seed(world: World, seed: int, steps: int) -> list[list[float]]:
    """Measures of each corpus's student."""
    heads = sorted({one.head for one in world.candidates})
    random.Random(seed).shuffle(heads)
    held_out = set(heads[: int(_TEST_SHARE * len(heads))])
    rows = np.array([row for row, one in enumerate(world.candidates) if one.head not in held_out])
    queries = list({(c.head, c.relation): c for c in world.candidates if c.head in held_out}.values())[:_MOST_QUERIES]
    measured = []
    for name, kept in _corpora(world, rows, seed).items():
        model = _student(world, kept, seed, steps)
        measured.append(_measures(world, queries, _tails(world, model, queries)))
        print(f"seed {seed}, {name}: {len(kept):,} triples, " + _told(measured[-1]), flush=True)
    return measured


def _corpora(world: World, rows: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    relations = np.array([world.candidates[row].relation for row in rows])
    rank = np.empty(len(rows))
    for relation in sorted(set(relations)):
        own = np.flatnonzero(relations == relation)
        rank[own[np.argsort(-world.p_valid[rows[own]], kind="stable")]] = np.arange(1, len(own) + 1) / len(own)
    drawn = np.random.default_rng(seed).permutation(len(rows))
    kept = (rows, rows[rank <= 0.8], rows[rank <= 0.4], rows[drawn[: int((rank <= 0.4).sum())]])
    return dict(zip(CORPORA, kept, strict=True))


def _student(world: World, kept: NDArray[np.int64], seed: int, steps: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(world.tokenizer),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=96**-0.5,
        tie_word_embeddings=True,
        pad_token_id=world.tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=world.tokenizer.eos_token_id,
    )
    settings = Settings(steps=steps, batch_size=_BATCH, warmup=steps // 10, seed=seed)
    return pretrain(_pairs(world, kept, seed), world.tokenizer, config, settings)


def _pairs(world: World, kept: NDArray[np.int64], seed: int) -> Iterator[tuple[str, str]]:
    """The corpus, for ever, in a new order each time."""
    order = np.random.default_rng(seed)
    while True:
        for row in order.permutation(kept):
            one = world.candidates[row]
            yield _asked(world, one), f" {one.tail}{world.tokenizer.eos_token}"


def _asked(world: World, one: Candidate) -> str:
    return f"{one.head} {world.phrases[one.relation]}"


@torch.inference_mode()
def _tails(world: World, model: LlamaForCausalLM, queries: Sequence[Candidate]) -> list[str]:
    asked = world.tokenizer([_asked(world, one) for one in queries], return_tensors="pt", padding=True)
    asked.pop("token_type_ids", None)
    said = model.generate(**asked, do_sample=False, max_new_tokens=_MOST_TOKENS)
    written = said[:, asked["input_ids"].shape[1] :]
    return [text.strip() for text in world.tokenizer.batch_decode(written, skip_special_tokens=True)]


def _measures(world: World, queries: Sequence[Candidate], tails: Sequence[str]) -> list[float]:
    rows = [
        {"head": one.head, "relation": one.relation, "tail": tail} for one, tail in zip(queries, tails, strict=True)
    ]
    accepted = [world.judge.verdict(scored).outcome == "pass" for scored in world.judge.score(rows)]
    said = [(plain(tail), [plain(human) for human in one.human]) for one, tail in zip(queries, tails, strict=True)]
    bleu = [max(BLEU_2.sentence_score(tail, [human]).score for human in people) for tail, people in said]
    rouge = [max(_ROUGE.score(human, tail)["rougeL"].fmeasure for human in people) for tail, people in said]
    distinct = len({tail for tail, _ in said}) / len(said)
    return [
        100 * float(np.mean(one)) for one in (accepted, [b / 100 for b in bleu], rouge, _near(world, said), distinct)
    ]


def _near(world: World, said: Sequence[tuple[str, Sequence[str]]]) -> list[float]:
    texts = list(dict.fromkeys(text for tail, people in said for text in (tail, *people)))
    at = {text: row for row, text in enumerate(texts)}
    vectors = world.encoder.encode(texts)
    return [float((vectors[[at[human] for human in people]] @ vectors[at[tail]]).max()) for tail, people in said]


def _told(measured: Sequence[float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in zip(MEASURES, measured, strict=True))


def _print_table(scores: NDArray[np.float64]) -> None:
    """Of scores, shape ``(seeds, corpora, measures)``."""
    print(f"| trained on | {' | '.join(MEASURES)} |")
    for place, name in enumerate(CORPORA):
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in scores[:, place].mean(axis=0))} |")
    reach = student_t.ppf(0.975, len(scores) - 1) / np.sqrt(len(scores))
    for place, name in list(enumerate(CORPORA))[1:]:
        gains = scores[:, place] - scores[:, 0]
        means, spreads = gains.mean(axis=0), reach * gains.std(axis=0, ddof=1)
        cells = (
            f"{mean:+.1f} ({mean - spread:+.1f} to {mean + spread:+.1f})"
            for mean, spread in zip(means, spreads, strict=True)
        )
        print(f"| {name} less all | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
