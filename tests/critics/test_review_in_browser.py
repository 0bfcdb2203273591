"""People at the review page, in a real browser: read, search, edit, approve, reject, roll back, comment, check the log.

With ``SCREENSHOTS=docs/review`` in the environment it takes the documentation's pictures anew.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from critics.library import Library
from pipelines.review.spot_check import read_summaries
from tests.conftest import ROOT, SHARED
from tests.critics.review_world import DIALOGUES, HOSTILE, STRATEGIES, make_pairs, make_run, served

REFUND = "refund-before-identity"


def chromium() -> str:
    """The browser's path; skips where there is none, but not under CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing = "no browser is installed (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking"]
        launched = playwright.chromium.launch(executable_path=path, args=options, timeout=60_000)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which any script error or refused resource is an error of the test."""
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.set_default_timeout(30_000)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield opened
    opened.close()
    assert wrong == []


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def status(page: Page, expected: str) -> None:
    expect(page.locator("h1 .status")).to_have_text(expected)
    page.wait_for_load_state()  # the keys work from then on


def test_an_audit(page: Page, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with served(run) as server:
        page.goto(server.links["ann"])
        page.wait_for_url(f"{server.address}/")

        # Opens and searches.
        expect(page.locator("#list .item")).to_have_count(5)
        page.keyboard.press("/")
        page.keyboard.type("demands a refund", delay=10)
        expect(page.locator("#list .item")).to_have_count(1)
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.wait_for_url(f"{server.address}/strategies/{REFUND}*")
        expect(page.locator(".turn.diverges")).to_contain_text(DIALOGUES[0].turns[1].text)
        expect(page.locator(".turn.teacher")).to_contain_text(DIALOGUES[0].teacher_turn)
        expect(page.locator("details > .dialogue")).to_have_count(3)

        # Edits, with the difference shown meanwhile; nothing is decided about words that are not saved.
        page.keyboard.press("e")
        words = page.locator("textarea[name=strategy]")
        words.fill(words.input_value().replace("Say sorry once, in one sentence.", "Say sorry in one short sentence."))
        expect(page.locator("#diff ins")).to_have_text([" short"])
        expect(page.locator("#decide button.approve")).to_be_disabled()
        picture(page, "edit")
        page.locator("#edit input[name=why]").fill("shorter")
        page.locator("#edit button.primary").click()
        expect(page.locator("h1 small")).to_have_text("version 2")
        expect(page.locator(".event.edit")).to_contain_text("shorter")

        # Letters in a row are a word, meant for a field: they decide nothing.
        page.wait_for_load_state()
        page.evaluate("for (const key of 'rat') document.dispatchEvent(new KeyboardEvent('keydown', {key}))")
        page.wait_for_timeout(300)
        status(page, "draft")

        # Approves by key, comments, rolls back: a draft again; rejects by key.
        page.keyboard.press("a")
        status(page, "approved")
        page.keyboard.press("c")
        page.keyboard.type("Legal has read it.")
        page.keyboard.press("Enter")
        expect(page.locator(".event.comment")).to_contain_text("Legal has read it.")
        page.get_by_role("button", name="Roll back to version 1").click()
        status(page, "draft")
        expect(page.locator("textarea[name=strategy]")).to_have_value(STRATEGIES[0].strategy)
        page.keyboard.press("r")
        status(page, "rejected")
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()
        picture(page, "keys")
        page.keyboard.press("Escape")

        # The log's chain.
        page.get_by_role("link", name="Log").click()
        expect(page.locator("#chain")).to_contain_text("The chain of all 10 entries is whole")
        expect(page.locator("tbody tr").first).to_contain_text("reject")
        picture(page, "log")
        page.close()
    with Library(run / "strategies" / "library.sqlite", must_exist=True) as library:
        actions = [entry.action for entry in library.entries(REFUND)]
        assert actions == ["add", "edit", "approve", "comment", "roll_back", "reject"]
        assert library.verify() == []
        assert library.approved() == []


def test_an_audit_of_what_a_run_made(page: Page, serve: Callable[..., str], tmp_path: Path) -> None:
    """Over tau-bench's retail policy and customers; what the auditor leaves is all that is served."""
    data = SHARED / "tau-bench"
    if not data.is_dir():
        pytest.skip(f"needs {data}")
    run = retail_run(tmp_path, serve("--json", "world"), data)
    with Library(run / "strategies" / "library.sqlite", must_exist=True) as library:
        second, first, *others = library.current()
    with served(run) as server:
        page.goto(server.links["ann"])
        page.wait_for_url(f"{server.address}/")
        expect(page.locator("#list .item")).to_have_count(2 + len(others))
        page.keyboard.press("/")
        page.keyboard.type(first.features[0], delay=10)
        expect(page.locator("#list .item")).to_have_count(1)
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.wait_for_url(f"{server.address}/strategies/{first.id}*")
        expect(page.locator(".turn.diverges").first).to_be_visible()
        page.keyboard.press("e")
        page.locator("textarea[name=strategy]").fill(f"{first.strategy} Be brief.")
        page.locator("#edit input[name=why]").fill("brevity")
        page.locator("#edit button.primary").click()
        expect(page.locator("h1 small")).to_have_text("version 2")
        page.wait_for_load_state()
        page.keyboard.press("a")
        status(page, "approved")
        picture(page, "run")
        page.get_by_role("button", name="Roll back to version 1").click()
        status(page, "draft")
        page.keyboard.press("a")
        status(page, "approved")
        page.goto(f"{server.address}/strategies/{second.id}")
        page.wait_for_load_state()
        page.keyboard.press("r")
        status(page, "rejected")
        page.get_by_role("link", name="Log").click()
        expect(page.locator("#chain")).to_contain_text("is whole")
        page.close()
    with Library(run / "strategies" / "library.sqlite", must_exist=True) as library:
        assert [(one.id, one.strategy) for one in library.approved()] == [(first.id, first.strategy)]
        assert library.verify() == []


def retail_run(folder: Path, url: str, data: Path) -> Path:
    endpoint = {"base_url": url, "price": "unmetered", "window": 32}
    recipe = {
        "flow": "strategies",
        "name": "retail",
        "business": {"policy": [str(data / "retail_policy.md")]},
        "customers": {"path": str(data / "retail_tasks_train.jsonl.gz"), "limit": 24, "pool": 0.25, "test": 0.1},
        "coaching": {"rounds": 1},
        **{who: {"model": who, **endpoint} for who in ("student", "customer", "teacher", "judge")},
    }
    path = folder / "retail.yaml"
    path.write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "pipelines", "run", str(path), "--out", str(folder / "out")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=280)
    (run,) = (folder / "out" / "retail").iterdir()
    return run


def test_model_text_does_nothing_and_a_second_editor_sees_both_texts(browser: Browser, tmp_path: Path) -> None:
    with served(make_run(tmp_path)) as server:
        ann, bob = (browser.new_context().new_page() for _ in range(2))
        for page, name in ((ann, "ann"), (bob, "bob")):
            page.goto(server.links[name])
            page.wait_for_url(f"{server.address}/")
            page.goto(f"{server.address}/strategies/hostile")
            expect(page.locator("textarea[name=strategy]")).to_have_value(HOSTILE)
            expect(page).to_have_title("retail-strategies/1f0c2a9be4d7 · review")
            page.locator("textarea[name=strategy]").fill(f"Words of {name}")
        for page in (ann, bob):
            page.locator("#edit button.primary").click()
        expect(bob.locator("h1").last).to_have_text("Somebody was quicker")
        expect(bob.locator(".both section").first).to_contain_text("Words of ann")
        expect(bob.locator(".both section").last).to_contain_text("Words of bob")
        picture(bob, "both-texts")
        bob.get_by_role("button", name="Save as version 3").click()
        expect(bob.locator("textarea[name=strategy]")).to_have_value("Words of bob")
        for page in (ann, bob):
            page.context.close()


def test_a_spot_check_by_keys(page: Page, tmp_path: Path) -> None:
    run = make_pairs(tmp_path / "word-problems" / "77c1d0a2b3f4", 40)
    with served(run, "--table", "pairs/train", "--bound", "0.2", reviewers=("ann",)) as server:
        page.goto(server.links["ann"])
        page.wait_for_url(f"{server.address}/rows/1")
        for place, key in enumerate("arua", start=1):
            expect(page.locator("h1")).to_contain_text(f"Row {place} ")
            page.wait_for_load_state()
            page.wait_for_timeout(300)
            page.keyboard.press(key)
        page.wait_for_url(f"{server.address}/rows/5")
        page.wait_for_load_state()
        expect(page.locator(".place.right, .place.wrong, .place.unsure")).to_have_count(4)
        picture(page, "spot-check")
        page.keyboard.press("k")
        page.wait_for_url(f"{server.address}/rows/4")
        expect(page.locator("button.chosen")).to_contain_text("Right")
        page.close()
    assert read_summaries(run)["pairs/train"]["labelled"] == 4
