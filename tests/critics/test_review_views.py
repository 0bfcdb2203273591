"""What the pages show: differences, and what others think only once it cannot sway."""

from dataclasses import replace
from pathlib import Path

from critics.library import Library
from critics.review_views import Piece, diff, differences, events
from critics.strategy import Strategy

DRAFT = Strategy("s-1", "Angry", "Say sorry.", ("a:b",))


def test_differences_are_words_and_add_up() -> None:
    pieces = diff("Say sorry once, then ask.", "Say sorry, then ask twice.")
    assert [piece.text for piece in pieces if piece.kind == "added"] == [" twice"]
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == "Say sorry once, then ask."
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == "Say sorry, then ask twice."
    assert diff("same", "same") == (Piece("same", "same"),)
    assert diff("a " * 5000, "b " * 5000) == (Piece("removed", "a " * 5000), Piece("added", "b " * 5000))
    assert [field.name for field in differences(DRAFT, replace(DRAFT, features=("c:d",)))] == ["features"]


def test_what_others_think_is_told_to_those_who_have_spoken(tmp_path: Path) -> None:
    with Library(tmp_path / "library.sqlite") as library:
        library.add([DRAFT], who="flow", why="")
        library.decide("s-1", "reject", based_on=1, who="ann", why="rude", raters=2)

        def told(reviewer: str) -> list[str]:
            shown = events(library.history("s-1"), list(library.entries("s-1")), reviewer)
            return [event.entry.why for event in shown]

        assert told("ann") == ["rude", ""]
        assert told("bob") == [""]
        library.decide("s-1", "approve", based_on=1, who="bob", why="fine", raters=2)
        assert told("bob") == ["fine", "rude", ""]
        library.save(replace(DRAFT, strategy="Apologise."), action="edit", who="bob", why="kinder")
        assert told("eve") == ["kinder", "fine", "rude", ""], "that version is past"
