"""Near-duplicates: against exact similarity, first kept, and by meaning."""

import random

import pytest

from critics.near_duplicates import EmbeddingDuplicates, MinHashDuplicates, shingles


def test_what_is_far_above_the_threshold_is_found_and_what_is_far_below_is_not() -> None:
    draw = random.Random(0)
    index = MinHashDuplicates(0.8)
    for number in range(400):
        said = [f"w{draw.randrange(3000)}" for _ in range(50)]
        text = " ".join(said)
        changed = [*said[:-1], "end"]  # 47 of 49 runs in common
        torn = [word if place % 5 else f"x{place}" for place, word in enumerate(said)]
        items = [(f"{number}", text), (f"{number}a", " ".join(changed).upper() + "."), (f"{number}b", " ".join(torn))]
        first, second, third = index.matches(items)
        assert first is None
        assert second is not None
        assert second.key == str(number)
        assert second.similarity == pytest.approx(47 / 49, abs=0.12)
        assert third is None


def test_the_similarity_is_an_estimate_of_jaccards() -> None:
    one, other = " ".join(f"w{n}" for n in range(60)), " ".join(f"w{n}" for n in range(12, 72))
    exact = len(set(shingles(one)) & set(shingles(other))) / len(set(shingles(one)) | set(shingles(other)))
    _, found = MinHashDuplicates(0.4).matches([("a", one), ("b", other)])
    assert found is not None
    assert found.similarity == pytest.approx(exact, abs=0.13)


def test_short_and_empty_texts_are_compared_whole() -> None:
    keys = [("a", "Yes."), ("b", "No."), ("c", "yes"), ("d", ""), ("e", "!"), ("f", "yes and no")]
    matches = MinHashDuplicates(0.8).matches(keys)
    assert [match.key if match else None for match in matches] == [None, None, "a", None, "d", None]


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_equal_texts_are_found_at_any_threshold(threshold: float) -> None:
    first, second = MinHashDuplicates(threshold).matches([("a", "a b c d e f g"), ("b", "a b c d e f g")])
    assert first is None
    assert second is not None


def test_embeddings_find_what_means_the_same() -> None:
    index = EmbeddingDuplicates(0.8)
    texts = [
        ("a", "How many apples does Tom have left?"),
        ("b", "What is the number of apples that Tom has left?"),
        ("c", "The train to Berlin leaves at noon."),
    ]
    first, second, third = index.matches(texts)
    assert (first, third) == (None, None)
    assert second is not None
    assert second.key == "a"
    assert index.matches([]) == []
    (again,) = index.matches([("d", texts[2][1])])
    assert again is not None
    assert again.key == "c"
