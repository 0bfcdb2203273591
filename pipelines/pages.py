"""Cards and reports: the templates that they are rendered from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2


def page_template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """Of a page that stands on its own: whatever is put into it is escaped for HTML."""
    environment = _environment(autoescape=True)
    environment.filters |= filters
    return environment.get_template(name)


def card_template(
    name: str, escaped: Callable[[Any], Any] | None = None, **filters: Callable[..., Any]
) -> jinja2.Template:
    """Of a card in Markdown, through ``escaped`` where what is put into it may be a model's text."""
    environment = _environment(autoescape=False)
    environment.finalize = escaped
    environment.filters |= filters
    return environment.get_template(name)


def _environment(*, autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=autoescape,  # noqa: S701 - off for Markdown only
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
