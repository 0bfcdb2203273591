"""Diversity against sacrebleu itself, and soft uniqueness against comparing everything."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from critics.diversity import Sample, diversity
from critics.soft_uniqueness import SoftUnique

texts_of_few_words = st.lists(st.lists(st.sampled_from("abcdef"), max_size=9).map(" ".join), max_size=25)


def bleu(hypothesis: str, references: list[str], *, order: int, smooth: str) -> float:
    measure = BLEU(max_ngram_order=order, effective_order=True, smooth_method=smooth, tokenize="none")
    return measure.sentence_score(hypothesis, references).score / 100 if hypothesis else 0.0


@settings(deadline=None, max_examples=60)
@given(texts_of_few_words.filter(lambda texts: len(texts) > 1))
def test_self_bleu_is_that_of_sacrebleu(texts: list[str]) -> None:
    others = [texts[:number] + texts[number + 1 :] for number in range(len(texts))]
    scores = [bleu(text, rest, order=4, smooth="exp") for text, rest in zip(texts, others, strict=True)]
    assert diversity(texts).self_bleu == pytest.approx(sum(scores) / len(scores))


@settings(deadline=None, max_examples=150)
@given(texts_of_few_words, st.sampled_from([0.4, 0.5, 0.8]))
def test_no_kept_pair_is_above_and_none_is_dropped_without_one(texts: list[str], threshold: float) -> None:
    def alike(one: str, other: str) -> bool:
        both = ((one, other), (other, one))
        return max(bleu(said, [known], order=2, smooth="none") for said, known in both) > threshold

    matches = SoftUnique(threshold).matches([(str(number), text) for number, text in enumerate(texts)])
    kept = [number for number, match in enumerate(matches) if match is None]
    assert not any(alike(texts[one], texts[other]) for one, other in itertools.combinations(kept, 2))
    for number, match in enumerate(matches):
        if match is not None:
            assert int(match.key) in kept[: number + 1]
            assert alike(texts[number], texts[int(match.key)])


def test_distinct_n_counts_runs() -> None:
    found = diversity(["a b a b", "a c"])
    assert (found.distinct_1, found.distinct_2) == (3 / 6, 3 / 4)
    assert diversity([]) == type(found)(0, 0.0, 0.0, 0.0)


def test_narrow_data_is_seen() -> None:
    varied = [f"{word} went to the {place}" for word, place in zip("abcdefgh", "stuvwxyz", strict=True)]
    narrow = ["a went to the s"] * 8
    assert diversity(narrow).self_bleu > diversity(varied).self_bleu
    assert diversity(narrow).distinct_2 < diversity(varied).distinct_2


def test_a_subset_is_sampled_as_the_set_was() -> None:
    whole, half = Sample(10), Sample(10)
    for number in range(100):
        whole.add(str(number), f"text {number}")
        if number % 2:
            half.add(str(number), f"text {number}")
    odd = [text for text in whole.texts(10) if int(text.split()[1]) % 2]
    assert odd == [text for text in half.texts(10) if text in odd]
    assert (whole.seen, half.seen) == (100, 50)
