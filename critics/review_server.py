"""The review page's server: entering, the forms' protection, errors; what is reviewed comes as a router.

Everybody must have entered by a link (`critics.review_sessions`). A form is taken only from a page of this server: its
session's cookie is SameSite=Strict, it carries the session's CSRF token, and its Origin, where told, is this server.
"""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from critics.audit_store import StoreError, storable
from critics.review_guard import Guard
from critics.review_sessions import Reviewers, Session, TooManyTries

LOOPBACK: Final = ("127.0.0.1", "localhost")
_PAGES: Final = Path(__file__).parent / "review_page"
_MOST_FIELDS: Final = 20

_environment = Environment(
    loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def new_app(reviewers: Reviewers, router: APIRouter, *, title: str, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """A server of one router.

    Args:
        reviewers: Who may enter.
        router: Its routes; what they need they find in ``app.state``.
        title: Of the pages.
        hosts: Names that the server goes by; requests to another are refused, so that no other page's name can be
            turned to it (DNS rebinding).
    """
    app = FastAPI(title="potstill review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.reviewers, app.state.title = reviewers, title
    app.include_router(_entrance)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_PAGES / "static"))
    app.add_exception_handler(StarletteHTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(StoreError, _refuse)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Guard)  # added last, so it stands before all others
    return app


def page(request: Request, name: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """Render a page."""
    session = _session(request)
    text = _environment.get_template(f"{name}.html.jinja").render(
        title=request.app.state.title, session=session, path=request.url.path, **values
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status)


def signed_in(request: Request) -> Session:
    """The session of who asks."""
    session = _session(request)
    if session is None:
        raise HTTPException(401, "Open the link that potstill printed when this page was started.")
    return session


async def sent_form(request: Request, session: Annotated[Session, Depends(signed_in)]) -> dict[str, str]:
    """The fields of a form that this session's own page sent, line ends as newlines."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers['host']}":
        raise HTTPException(403, "This form was sent from another site.")
    try:
        fields = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise HTTPException(400, "This is no form of this page.") from None
    if not hmac.compare_digest(fields.pop("csrf", "").encode(), session.csrf.encode()):
        raise HTTPException(403, "This form is not of your session: reload the page, then send it again.")
    return {name: storable(value.replace("\r\n", "\n")) for name, value in fields.items()}


SignedIn = Annotated[Session, Depends(signed_in)]
SentForm = Annotated[dict[str, str], Depends(sent_form)]

_entrance = APIRouter()


@_entrance.get("/enter")
def _enter(request: Request, token: Annotated[str, Query(max_length=100)]) -> Response:
    reviewers: Reviewers = request.app.state.reviewers
    try:
        entered = reviewers.enter(token)
    except TooManyTries:
        raise HTTPException(429, "Too many wrong links: wait a minute.") from None
    if entered is None:
        raise HTTPException(401, "This link is not valid, or the server was started anew.")
    # A page that goes on by itself rather than a redirect, on which a strict cookie would not be sent to us when the
    # link was followed from elsewhere.
    response = page(request, "entered", {"reviewer": entered[1].reviewer})
    response.set_cookie(reviewers.cookie, entered[0], httponly=True, samesite="strict")
    return response


def _session(request: Request) -> Session | None:
    reviewers: Reviewers = request.app.state.reviewers
    return reviewers.session(request.cookies.get(reviewers.cookie, ""))


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, StarletteHTTPException):
        return page(request, "error", {"text": error.detail}, error.status_code)
    if isinstance(error, RequestValidationError):
        return page(request, "error", {"text": "There is no such page."}, 404)
    return page(request, "error", {"text": str(error)}, 400)
