"""What people's labels of a sample come to."""

from pathlib import Path

import pytest

from critics.labels import CheckRow, Labels, Sample, summarise

SAMPLE = Sample("pairs/train", 4, 0.5, 0, (CheckRow("a", ()), CheckRow("b", ()), CheckRow("c", ())))


def test_the_latest_word_of_each_counts_and_the_worst_of_all(tmp_path: Path) -> None:
    with Labels(tmp_path / "audit" / "labels.sqlite") as store:
        store.put("pairs/train", "a", "wrong", who="ann", comment="slip of the hand")
        store.put("pairs/train", "a", "right", who="ann", comment="")
        store.put("pairs/train", "a", "right", who="bob", comment="")
        store.put("pairs/train", "b", "right", who="ann", comment="")
        store.put("pairs/train", "b", "wrong", who="bob", comment="sum is off")
        store.put("pairs/train", "z", "wrong", who="eve", comment="not drawn")
        store.put("sft/train", "c", "wrong", who="eve", comment="another table")
        summary = summarise(SAMPLE, store.labels())
        assert (summary.labelled, summary.right, summary.wrong, summary.unsure) == (2, 1, 1, 0)
        assert summary.reviewers == ["ann", "bob"]
        assert summary.kappa == pytest.approx(0.0)
        assert not summary.passed
        store.put("pairs/train", "c", "right", who="ann", comment="")
        store.put("pairs/train", "b", "right", who="bob", comment="my mistake")
        done = summarise(SAMPLE, store.labels())
        assert (done.labelled, done.wrong, done.upper_bound, done.passed) == (3, 0, 0.25, True)
        store.put("pairs/train", "c", "unsure", who="bob", comment="")
        assert summarise(SAMPLE, store.labels()).upper_bound == 0.5, "unsure counts as wrong"
        assert len(list(store.entries())) == 10
