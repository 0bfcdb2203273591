"""A library keeps every version, loses no edit, serves only what people approved, and finds what was tampered with."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from critics.audit_store import StoreError
from critics.library import Added, Library, Stale
from critics.library_reader import UnknownStrategy
from critics.strategy import Dialogue, Score, Strategy, Turn, content_id
from tests.postgres_server import PostgresServer

DRAFT = Strategy("s-1", "Angry, wants a refund", "Say sorry.", ("intent:refund",), before=Score(0.1, 9, 0.0, 0.3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "strategies" / "library.sqlite"


@pytest.fixture(params=["sqlite", "postgres"])
def library(request: pytest.FixtureRequest, path: Path) -> Iterator[Library]:
    at: Path | str = path
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        at = server.database()
    with Library(at) as opened:
        opened.add([DRAFT], who="flow", why="helps")
        yield opened


def test_a_strategys_life(library: Library) -> None:
    assert library.approved() == []
    approved = library.decide("s-1", "approve", based_on=1, who="ann", why="good")
    assert library.approved() == [approved] == [replace(DRAFT, version=2, status="approved")]
    edited = library.save(replace(approved, strategy="Ask first."), action="edit", who="bob", why="shorter")
    assert (edited.version, edited.status) == (3, "draft"), "new words were approved by nobody"
    assert library.approved() == []
    back = library.roll_back("s-1", 2, based_on=3, who="ann", why="it was better")
    assert (back.words, back.status) == (DRAFT.words, "draft")
    library.decide("s-1", "approve", based_on=4, who="ann", why="")
    retired = library.save(library.get("s-1"), action="retire", who="ann", why="policy changed")
    assert retired.status == "retired"
    assert library.approved() == []
    assert [version.version for version in library.history("s-1")] == [1, 2, 3, 4, 5, 6]
    actions = [(entry.who, entry.action, entry.version) for entry in library.entries("s-1")]
    assert actions[:4] == [("flow", "add", 1), ("ann", "approve", 2), ("bob", "edit", 3), ("ann", "roll_back", 4)]
    assert library.verify() == library.verify(library.head()) == []
    assert [json.loads(line)["seq"] for line in library.export()] == [1, 2, 3, 4, 5, 6]


def test_what_is_there_stays_as_people_left_it(library: Library) -> None:
    library.decide("s-1", "reject", based_on=1, who="ann", why="harms")
    other = replace(DRAFT, id="s-2", status="approved", version=7)
    assert library.add([DRAFT, other, other], who="flow", why="again") == Added(1, 2)
    assert library.get("s-1").status == "rejected"
    assert (library.get("s-2").status, library.get("s-2").version) == ("draft", 1)
    with pytest.raises(StoreError, match="is no id"):
        library.add([replace(DRAFT, id="../s")], who="flow", why="")


def test_an_edit_of_an_older_version_is_refused_with_both_texts(library: Library) -> None:
    library.save(replace(DRAFT, strategy="Theirs"), action="edit", who="bob", why="")
    with pytest.raises(Stale) as refused:
        library.save(replace(DRAFT, strategy="Mine"), action="edit", who="ann", why="")
    assert (refused.value.offered.strategy, refused.value.current.strategy) == ("Mine", "Theirs")
    with pytest.raises(Stale):
        library.decide("s-1", "approve", based_on=1, who="ann", why="what I saw")
    assert library.get("s-1").strategy == "Theirs"


def test_many_at_once_lose_nothing(library: Library) -> None:
    with Library(library.name if "://" in library.name else Path(library.name)) as second:

        def write(number: int) -> int:
            """Edits until one is taken; returns the version it made."""
            store = (library, second)[number % 2]
            while True:
                mine = replace(store.get("s-1"), strategy=f"Words {number}")
                try:
                    return store.save(mine, action="edit", who=f"r{number}", why="").version
                except Stale:
                    continue

        with ThreadPoolExecutor(5) as pool:
            looks = [pool.submit(library.verify) for _ in range(6)]
            made = list(pool.map(write, range(12)))
    assert [look.result() for look in looks] == [[]] * 6, "whoever looks meanwhile sees one moment"
    assert sorted(made) == list(range(2, 14))
    assert {version.strategy for version in library.history("s-1")[1:]} == {f"Words {n}" for n in range(12)}
    assert library.verify() == []


def test_two_raters_decide_together(library: Library) -> None:
    assert library.decide("s-1", "approve", based_on=1, who="ann", why="", raters=2).status == "draft"
    assert library.decide("s-1", "approve", based_on=1, who="ann", why="again", raters=2).status == "draft"
    assert library.decide("s-1", "reject", based_on=1, who="bob", why="", raters=2).status == "draft", "divided"
    assert library.decide("s-1", "approve", based_on=1, who="bob", why="", raters=2).status == "approved"
    assert library.decide("s-1", "reject", based_on=2, who="eve", why="stop", raters=2).status == "rejected"


def test_a_decision_changes_no_words_and_must_change_something(library: Library) -> None:
    with pytest.raises(StoreError, match="save the new words first"):
        library.save(replace(DRAFT, strategy="Sneaky"), action="approve", who="ann", why="")
    forged = replace(DRAFT, strategy="Sneaky", status="approved")
    assert library.save(forged, action="edit", who="ann", why="").status == "draft"
    with pytest.raises(StoreError, match="nothing to change"):
        library.save(library.get("s-1"), action="edit", who="ann", why="")
    with pytest.raises(UnknownStrategy):
        library.get("none")
    with pytest.raises(UnknownStrategy):
        library.roll_back("s-1", 9, based_on=2, who="ann", why="")


def test_search_counters_dialogues_and_any_text_at_all(library: Library) -> None:
    nasty = "100% \udc00\0 ÄRGER_ '; DROP TABLE log; --"
    library.add([Strategy("n", nasty, nasty, (nasty,))], who="flow", why=nasty)
    library.add_dialogues([Dialogue("d", "student", (Turn("customer", nasty),)), Dialogue("e", "student", ())])
    library.comment("n", nasty, who="ann")
    assert library.get("n").strategy == nasty
    assert [found.id for found in library.current(search="ärger_ DROP")] == ["n"]
    assert library.current(search="100_") == [], "signs of LIKE are letters"
    assert [found.id for found in library.current(tag="intent:refund")] == ["s-1"]
    assert [d.turns for d in library.dialogues(["d", "gone"])] == [(Turn("customer", nasty),)]
    library.count(served=["n", "n"], used=["n", "unknown"])
    assert (library.get("n").served, library.get("n").used, library.get("n").version) == (2, 1, 1)
    assert library.counts() == {"draft": 2}
    assert library.verify() == []


def tampered(path: Path, *statements: str) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert db.execute(statement).rowcount
        db.commit()
    with Library(path) as library:
        wrong = library.verify()
        if wrong:
            with pytest.raises(StoreError, match="tampered with"):
                library.approved()
        return wrong


@pytest.fixture
def three(path: Path) -> str:
    """A library of three approved strategies; gives the head of its log."""
    with Library(path) as library:
        library.add([replace(DRAFT, id=f"s-{n}") for n in range(3)], who="flow", why="")
        for n in range(3):
            library.decide(f"s-{n}", "approve", based_on=1, who="ann", why="")
        return library.head()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET who = 'bob' WHERE seq = 4",
        "DELETE FROM log WHERE seq = 2",
        "DELETE FROM log WHERE seq = 1",
        "UPDATE log SET seq = CASE seq WHEN 2 THEN 30 ELSE 2 END WHERE seq IN (2, 3)",
        "UPDATE versions SET record = replace(record, 'sorry', 'nothing') WHERE id = 's-1' AND version = 2",
        "UPDATE versions SET status = 'approved' WHERE id = 's-1' AND version = 1",
        "DELETE FROM versions WHERE id = 's-1' AND version = 2",
        "DELETE FROM log WHERE seq = 6",
        "INSERT INTO versions SELECT id, 3, 'approved', record, '' FROM versions WHERE id = 's-1' AND version = 2",
        "UPDATE versions SET record = 'no JSON' WHERE id = 's-1'",
    ],
)
def test_tampering_is_found_and_nothing_is_served(path: Path, three: str, statement: str) -> None:
    assert tampered(path, statement)


def test_a_log_that_cannot_be_read_serves_nothing(path: Path, three: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER log_refuses_update")
        db.execute("UPDATE log SET what = 'no JSON' WHERE seq = 2")
        db.commit()
    with Library(path) as library, pytest.raises(StoreError, match="cannot be read"):
        library.approved()


def test_a_log_cut_off_with_its_versions_is_found_by_its_head(path: Path, three: str) -> None:
    cut = ("DELETE FROM log WHERE seq = 6", "DELETE FROM versions WHERE id = 's-2' AND version = 2")
    assert tampered(path, *cut) == [], "the chain alone cannot know"
    with Library(path) as library:
        assert "cut off" in library.verify(three)[0]


def test_the_log_and_the_versions_only_grow(library: Library, path: Path) -> None:
    if "://" in library.name:
        with pytest.raises(StoreError, match="only grows"):
            library._write(lambda db: db.exec_driver_sql("DELETE FROM versions"))
        return
    with closing(sqlite3.connect(path)) as db:
        for statement in ("UPDATE log SET why = ''", "DELETE FROM log", "UPDATE versions SET status = 'approved'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                db.execute(statement)


def test_a_library_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing here"):
        Library(tmp_path / "none.sqlite", must_exist=True)
    (tmp_path / "text.sqlite").write_text("This is no database, whatever its name may say. " * 30)
    with pytest.raises(StoreError, match="not a database"):
        Library(tmp_path / "text.sqlite")
    with Library(tmp_path / "new.sqlite"):
        pass
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as db:
        db.execute("UPDATE store_schema SET version = 99")
        db.commit()
    with pytest.raises(StoreError, match="update potstill"):
        Library(tmp_path / "new.sqlite")


def test_ids_of_content() -> None:
    assert content_id("a", ["b"]) == content_id("a", ["b"]) != content_id("a", ["c"])
