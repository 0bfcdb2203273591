"""The review of a strategy library: read, edit, approve, reject, retire, roll back, comment."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi import Path as PathPart
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from critics.audit_log import Entry
from critics.labels import rater_kappa
from critics.library import Library, Stale
from critics.library_reader import UnknownStrategy
from critics.review_server import SentForm, SignedIn, page
from critics.review_views import differences, events, fit_for, scenes
from critics.sampling import draw, needed
from critics.strategy import Status, Strategy

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_MOST_LISTED: Final = 200
_SECOND_LOOK: Final = 0.05

Decided = Literal["approve", "reject", "retire", "roll_back", "comment"]

router = APIRouter()


def _library(request: Request) -> Library:
    library: Library = request.app.state.library
    return library


class Wanted:
    """Which strategies are listed: of one status, with these words, with this feature."""

    def __init__(
        self,
        status: Annotated[Status | Literal[""], Query()] = "",
        q: Annotated[str, Query(max_length=200)] = "",
        tag: Annotated[str, Query(max_length=200)] = "",
    ) -> None:
        self.status, self.q, self.tag = status, q.replace("\0", " "), tag

    @property
    def query(self) -> str:
        """As it stands in an address, with its question mark; empty where all are wanted."""
        kept = {name: value for name, value in vars(self).items() if value}
        return f"?{urlencode(kept)}" if kept else ""


Kept = Annotated[Library, Depends(_library)]
Filter = Annotated[Wanted, Depends()]
Id = Annotated[str, PathPart(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


@router.get("/")
def listed(request: Request, session: SignedIn, library: Kept, wanted: Filter) -> Response:
    """All that are wanted, and the first of them."""
    return _page(request, library, wanted, session.reviewer)


@router.get("/strategies/{strategy_id}")
def shown(request: Request, session: SignedIn, library: Kept, wanted: Filter, strategy_id: Id) -> Response:
    """One strategy, beside the list."""
    return _page(request, library, wanted, session.reviewer, _known(library, strategy_id))


@router.post("/strategies/{strategy_id}/diff")
def compared(request: Request, library: Kept, form: SentForm, strategy_id: Id) -> Response:
    """What the form would change."""
    current = _known(library, strategy_id)
    return page(request, "diff", {"diffs": differences(current, _edited(current, form))})


@router.post("/strategies/{strategy_id}/edit")
def edited(
    request: Request,
    session: SignedIn,
    library: Kept,
    form: SentForm,
    wanted: Filter,
    strategy_id: Id,
) -> Response:
    """Save the form's words as a new version; a form that is based on an older one gets both texts."""
    current = _known(library, strategy_id)
    offered = replace(_edited(current, form), version=_number(form, "version"))
    try:
        library.save(offered, action="edit", who=session.reviewer, why=form.get("why", ""))
    except Stale as stale:
        diffs = differences(stale.current, offered)
        values = {"current": stale.current, "offered": offered, "diffs": diffs, "why": form.get("why", "")}
        return page(request, "stale", {**values, "wanted": wanted}, 409)
    return _back(strategy_id, wanted)


@router.post("/strategies/{strategy_id}/{decision}")
def decided(
    request: Request,
    session: SignedIn,
    library: Kept,
    form: SentForm,
    wanted: Filter,
    strategy_id: Id,
    decision: Decided,
) -> Response:
    """Do something else with a strategy; nothing, where it has changed since the form was made."""
    current = _known(library, strategy_id)
    try:
        _decide(library, current, decision, form, session.reviewer, request.app.state.raters)
    except Stale as stale:
        based_on = stale.offered.version
        seen = next((v for v in library.history(strategy_id) if v.version == based_on), current)
        values = {"current": stale.current, "diffs": differences(seen, stale.current), "decision": decision}
        return page(request, "overtaken", {**values, "wanted": wanted}, 409)
    return _back(strategy_id, wanted)


def _decide(
    library: Library, current: Strategy, decision: Decided, form: dict[str, str], who: str, raters: int
) -> None:
    why = form.get("why", "").strip()
    match decision:
        case "approve" | "reject":
            based_on = _number(form, "version")
            library.decide(current.id, decision, based_on=based_on, who=who, why=why, raters=raters)
        case "retire":
            library.save(replace(current, version=_number(form, "version")), action="retire", who=who, why=why)
        case "roll_back":
            to, based_on = _number(form, "to"), _number(form, "version")
            library.roll_back(current.id, to, based_on=based_on, who=who, why=why)
        case "comment":
            if not why:
                raise HTTPException(400, "There is nothing in this comment.")
            library.comment(current.id, why, who=who)


@router.get("/log")
def log(request: Request, session: SignedIn, library: Kept) -> Response:
    """The log, newest first, as far as this reviewer is told, and whether it adds up."""
    entries, strategies = list(library.entries()), library.current()
    approved = [strategy.id for strategy in strategies if strategy.status == "approved"]
    told = fit_for(session.reviewer, entries, {strategy.id: strategy.version for strategy in strategies})
    values = {
        "entries": told[: -_MOST_LISTED - 1 : -1],
        "total": len(entries),
        "wrong": library.verify(),
        "head": library.head(),
        "kappa": rater_kappa(_opinions(entries)),
        "approved": len(approved),
        "second_look": [approved[place] for place in draw(len(approved), needed(len(approved), _SECOND_LOOK), 0)],
    }
    return page(request, "log", values)


def _opinions(entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in entries:
        if entry.action == "opinion":
            said[f"{entry.subject} {entry.version}"][entry.who] = str(entry.what["verdict"])
    return said


@router.get("/log.jsonl")
def exported(_session: SignedIn, library: Kept) -> Response:
    """The whole log, as JSON Lines."""
    return StreamingResponse(library.export(), media_type="application/jsonl")


def _page(
    request: Request, library: Library, wanted: Wanted, reviewer: str, strategy: Strategy | None = None
) -> Response:
    found = library.current(wanted.status or None, wanted.q, wanted.tag)
    strategy = strategy or next(iter(found), None)
    values = {"wanted": wanted, "found": found[:_MOST_LISTED], "total": len(found), "counts": library.counts()}
    detail = _detail(library, strategy, reviewer) if strategy else {}
    return page(request, "library", {**values, **detail, "statuses": STATUSES, "strategy": strategy})


def _detail(library: Library, strategy: Strategy, reviewer: str) -> dict[str, object]:
    history = library.history(strategy.id)
    ids = (*strategy.evidence, *strategy.dialogues_before, *strategy.dialogues_after)
    return {
        "events": events(history, list(library.entries(strategy.id)), reviewer),
        "scenes": scenes(strategy, library.dialogues(ids)),
    }


def _known(library: Library, id_: str) -> Strategy:
    try:
        return library.get(id_)
    except UnknownStrategy as error:
        raise HTTPException(404, str(error)) from None


def _edited(current: Strategy, form: dict[str, str]) -> Strategy:
    features = tuple(tag.strip() for tag in form.get("features", "").split(",") if tag.strip())
    scenario, strategy = form.get("scenario", "").strip(), form.get("strategy", "").strip()
    if not scenario or not strategy:
        raise HTTPException(400, "A strategy needs a scenario and a text.")
    return replace(current, scenario=scenario, features=features, strategy=strategy)


def _number(form: dict[str, str], name: str) -> int:
    text = form.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise HTTPException(400, f"{name} must be a number of a version.")
    return int(text)


def _back(id_: str, wanted: Wanted) -> Response:
    return RedirectResponse(f"/strategies/{id_}{wanted.query}", 303)
