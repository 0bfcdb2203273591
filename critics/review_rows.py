"""Spot checks of a dataset: the rows of a sample one after the other, each with a word on the sample's scale."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi import Path as PathPart
from fastapi.responses import RedirectResponse, Response

from critics.labels import Label, Labels, Sample, summarise
from critics.review_server import SentForm, SignedIn, page

router = APIRouter()


def _labels(request: Request) -> Labels:
    labels: Labels = request.app.state.labels
    return labels


def _sample(request: Request) -> Sample:
    sample: Sample = request.app.state.sample
    return sample


Kept = Annotated[Labels, Depends(_labels)]
Drawn = Annotated[Sample, Depends(_sample)]
Place = Annotated[int, PathPart(ge=1, le=10**9)]

Tell = Callable[[Sample], None]
"""Called after every label."""


@router.get("/")
def start(session: SignedIn, labels: Kept, sample: Drawn) -> Response:
    """Go to the first row that this reviewer has not labelled."""
    return RedirectResponse(f"/rows/{_next(sample, _own(labels, sample, session.reviewer))}", 303)


@router.get("/rows/{place}")
def shown(request: Request, session: SignedIn, labels: Kept, sample: Drawn, place: Place) -> Response:
    """One row, with this reviewer's own label."""
    if place > len(sample.rows):
        raise HTTPException(404, f"The sample has {len(sample.rows)} rows.")
    own = _own(labels, sample, session.reviewer)
    row = sample.rows[place - 1]
    counts_as = {choice.name: choice.counts_as for choice in sample.scale}
    marks = [counts_as[own[row.id].verdict] if row.id in own else "" for row in sample.rows]
    summary = summarise(sample, labels.labels())
    values = {"sample": sample, "row": row, "place": place, "own": own.get(row.id), "marks": marks}
    return page(request, "rows", {**values, "summary": summary})


@router.post("/rows/{place}")
def labelled(
    request: Request, session: SignedIn, labels: Kept, sample: Drawn, form: SentForm, place: Place
) -> Response:
    """Keep a label, and go on to the next row that has none of this reviewer's."""
    names = [choice.name for choice in sample.scale]
    verdict = form.get("verdict", "")
    if verdict not in names or place > len(sample.rows):
        raise HTTPException(400, f"Say one of {', '.join(names)} of a row of the sample.")
    comment = form.get("comment", "").strip()
    labels.put(sample.table, sample.rows[place - 1].id, verdict, who=session.reviewer, comment=comment)
    tell: Tell = request.app.state.tell
    tell(sample)
    return RedirectResponse(f"/rows/{_next(sample, _own(labels, sample, session.reviewer), place)}", 303)


def _own(labels: Labels, sample: Sample, reviewer: str) -> dict[str, Label]:
    own = (label for label in labels.labels() if label.table == sample.table and label.reviewer == reviewer)
    return {label.row_id: label for label in own}


def _next(sample: Sample, own: dict[str, Label], after: int = 0) -> int:
    places = [*range(after + 1, len(sample.rows) + 1), *range(1, after + 1)]
    return next((place for place in places if sample.rows[place - 1].id not in own), after or 1)
