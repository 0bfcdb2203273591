"""The report: one page that stands alone, escapes what others wrote, and tells the truth about odd runs."""

import html.parser
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from pipelines.rationales.findings import agreement, lengths, verdicts_by_teacher, wilson
from pipelines.rationales.preparing import Run
from pipelines.rationales.report import report

Made = tuple[Run, dict[str, Any]]
Distil = Callable[..., Made]
RED, BLUE, VAGUE = "Roses, so. The answer is red.", "Skies! The answer is blue.", "Who knows?"
EVIL = "<script>alert('x')</script> $x_{$ & \"q\""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, distil: Distil) -> Made:
    """Two teachers, hostile texts, every outcome."""
    ada = [
        [f"{EVIL} {RED}", RED, BLUE, VAGUE],
        [RED, RED, RED],
        [BLUE, BLUE, BLUE, f"{EVIL} {RED}"],
        [RED, BLUE, VAGUE],
    ]
    return distil(tmp_path_factory.mktemp("hostile"), {"ada": ada, "bob": [[BLUE], [RED]]}, question=EVIL)


class Page(html.parser.HTMLParser):
    """What is in a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_loads_nothing_and_runs_nothing(hostile: Made) -> None:
    text = (hostile[0].folder / "report.html").read_text()
    page = Page(text)
    assert not {"script", "link", "iframe", "img", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(
        r"https?:|@import|url\((?!#)|javascript:|src=", re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    )
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)


def test_what_others_wrote_is_text(hostile: Made) -> None:
    page = Page((hostile[0].folder / "report.html").read_text())
    assert page.text.count(EVIL) > 4


def test_pictures_have_words_and_ids_of_their_own(hostile: Made) -> None:
    page = Page((hostile[0].folder / "report.html").read_text())
    pictures = page.named("svg")
    assert len(pictures) == 4
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_link_leads_somewhere(hostile: Made) -> None:
    page = Page((hostile[0].folder / "report.html").read_text())
    ids = {attributes.get("id") for _, attributes in page.tags}
    for link in page.named("a") + page.named("use"):
        target = link["href"]
        assert target is not None
        assert target[1:] in ids if target.startswith("#") else (hostile[0].folder / target).exists(), target


def test_pictures_follow_the_theme_of_the_page(hostile: Made) -> None:
    text = (hostile[0].folder / "report.html").read_text()
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    colours = set(re.findall(r"(?:fill|stroke): (#\w+)", drawn))
    assert colours == set(), "a colour that the dark theme does not change"
    assert set(re.findall(r"var\((--[\w-]+)\)", drawn)) <= set(re.findall(r"(--[\w-]+):", text))


def test_equal_runs_are_equal_pages_and_leave_matplotlib_as_it_was(hostile: Made) -> None:
    before = dict(mpl.rcParams)
    assert report(*hostile) == report(*hostile)
    assert dict(mpl.rcParams) == before


def test_numbers_in_the_page_are_those_of_the_tables(hostile: Made) -> None:
    run, manifest = hostile
    text = Page((run.folder / "report.html").read_text()).text
    counts = manifest["counts"]
    assert f"SFT rows sft/train.parquet {counts['sft']} pairs from" in text
    found = verdicts_by_teacher(run)
    assert {name: dict(one.outcomes) for name, one in found.items()} == {
        "ada": {"right": 7, "wrong": 5, "unjudged": 2},
        "bob": {"wrong": 1, "right": 1, "no_reply": 2},
    }
    assert "ada 7 5 2 0 58.3 % 32.0 % to 80.7 %" in text
    assert text.count("potstill explain colours/") == counts["pairs"] + 2


def test_wilsons_interval() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.0, 0.2775), abs=1e-4)
    assert wilson(7, 12) == pytest.approx((0.5833, 0.3195, 0.8067), abs=1e-4)


def test_agreement_counts_majorities_ties_and_too_few(hostile: Made) -> None:
    found = agreement(hostile[0])
    # red 2 to blue 2; red 4 of 4; blue 3 of 4; red 1 to blue 1
    assert dict(found.undecided) == {"tie": 1, "too_few": 1}
    assert {word: list(shares.elements()) for word, shares in found.shares.items()} == {
        "right": [1.0],
        "wrong": [0.75],
        "unjudged": [],
    }


def test_lengths_are_those_that_a_student_sees(tmp_path: Path, distil: Distil) -> None:
    critic = {"judge": "choice", "answer": ["phrase"], "cut": ["\n\nQ:"]}
    run, _ = distil(tmp_path, {"ada": [[f"{RED}\n\nQ: And then? {BLUE}", BLUE]]}, critic=critic)
    found = lengths(run)
    assert list(found.replies["right"]) == list(found.chosen) == [len(RED)]
    assert list(found.replies["wrong"]) == list(found.rejected) == [len(BLUE)]


def test_one_sample_a_problem_leaves_nothing_to_vote_on_and_no_pairs(tmp_path: Path, distil: Distil) -> None:
    run, _ = distil(tmp_path, {"ada": [[RED], [RED]]})
    text = Page((run.folder / "report.html").read_text()).text
    assert "There is nothing to vote on" in text
    assert "There are no pairs" in text
    assert "Every reply was decided." in text


def test_nothing_right_and_nothing_decided(tmp_path: Path, distil: Distil) -> None:
    run, manifest = distil(tmp_path, {"ada": [[VAGUE], [VAGUE]]})
    text = Page((run.folder / "report.html").read_text()).text
    assert manifest["counts"]["sft"] == 0
    assert "nothing decided" in text
    assert "no_answer" in text


def test_a_dozen_teachers_with_long_names(tmp_path: Path, distil: Distil) -> None:
    names = [f"teacher-{number}-{'x' * 60}" for number in range(12)]
    run, _ = distil(tmp_path, {name: [[RED, BLUE]] for name in names})
    page = Page((run.folder / "report.html").read_text())
    assert all(name in page.text for name in names)


def test_what_a_row_costs(hostile: Made) -> None:
    run, manifest = hostile
    usage = {"prompt_tokens": 1000, "completion_tokens": 500}
    priced = report(run, {**manifest, "spend": {**usage, "usd": 0.5}, "counts": {**manifest["counts"], "sft": 4}})
    assert "$0.125000 per SFT row" in priced
