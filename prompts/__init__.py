"""What we ask: one text file a prompt, loaded byte for byte.

A prompt file is front matter between two ``---`` lines (``purpose``, ``variables``, ``answer_format``), then one or
more messages, each opened by a line ``<!-- system -->``, ``<!-- user -->`` or ``<!-- assistant -->``. A message is
everything between its line and the newline before the next one, rendered by Jinja2 with strict variables. The file is
cut into messages *before* it is rendered, so no value can add a message of its own.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import yaml

__all__ = ["Message", "Prompt", "PromptError", "load_prompt"]

Message = dict[str, str]
"""``{"role": …, "content": …}``, as every chat endpoint and TRL read it."""

_FRONT = re.compile(r"\A---\n(?P<front>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)
_ROLE = re.compile(r"^<!-- (system|user|assistant) -->\n", re.MULTILINE)
_JINJA = jinja2.Environment(
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - the result is read by a model, not by a browser
)


class PromptError(ValueError):
    """A prompt file or its variables are wrong; the text names the file and the mend."""


@dataclass(frozen=True)
class Prompt:
    """One prompt file.

    Attributes:
        name: File name without its ending.
        path: Where it was read.
        sha256: Of the file's bytes, in hex: recorded wherever the prompt is used.
        purpose: What it is for, in a sentence.
        variables: The names it needs, no more and no fewer.
        answer_format: What a reply to it looks like.
        sources: ``(role, template)`` in order.
    """

    name: str
    path: Path
    sha256: str
    purpose: str
    variables: frozenset[str]
    answer_format: str
    sources: tuple[tuple[str, str], ...]

    @cached_property
    def _names(self) -> list[str]:
        return sorted(self.variables)

    @cached_property
    def _templates(self) -> tuple[tuple[str, jinja2.Template], ...]:
        return tuple((role, _JINJA.from_string(source)) for role, source in self.sources)

    def __getstate__(self) -> dict[str, Any]:
        """Without the compiled templates: another process compiles its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_templates"}

    def messages(self, values: Mapping[str, Any]) -> list[Message]:
        """Render the prompt.

        Args:
            values: At least one value for each of `variables`; further ones are ignored.

        Raises:
            PromptError: A variable has no value.
        """
        for name in self._names:
            if values.get(name) is None:
                problem = f"variable {name!r} has no value: map a column to it, or take it out of the prompt"
                raise PromptError(f"{self.path}: {problem}")
        return [{"role": role, "content": _rendered(template, values)} for role, template in self._templates]


def _rendered(template: jinja2.Template, values: Mapping[str, Any]) -> str:
    """As `template.render`, less the copy of `values` and of Jinja's globals, which are no variables of a prompt."""
    return "".join(template.root_render_func(template.new_context(dict(values), shared=True)))


def load_prompt(name: str, *, beside: Path | None = None) -> Prompt:
    """Load a prompt by the name of a file in this folder, or by path.

    Args:
        name: ``solve_math``, or a path that ends in ``.md``.
        beside: Folder that a relative path starts from.

    Raises:
        PromptError: No such file, or its front matter, variables or template are wrong.
    """
    home = Path(__file__).parent
    path = (beside or Path()) / name if name.endswith(".md") else home / f"{name}.md"
    try:
        raw = path.read_bytes()
    except OSError as error:
        shipped = ", ".join(sorted(file.stem for file in home.glob("*.md")))
        raise PromptError(f"{path}: cannot read this prompt; name a .md file, or one of: {shipped}") from error
    return _parse(path, raw)


def _parse(path: Path, raw: bytes) -> Prompt:
    if b"\r" in raw:
        raise PromptError(f"{path}: has carriage returns: save it with Unix line ends, so that its bytes are its text")
    matched = _FRONT.match(raw.decode())
    if matched is None:
        raise PromptError(f"{path}: must open with front matter between two lines of ---")
    front = yaml.safe_load(matched["front"])
    if not isinstance(front, dict) or set(front) != {"purpose", "variables", "answer_format"}:
        raise PromptError(f"{path}: front matter must have exactly: purpose, variables, answer_format")
    sources = _sources(path, matched["body"])
    declared = frozenset(front["variables"])
    used = _used(path, sources)
    if declared != used:
        odd = ", ".join(sorted(declared ^ used))
        raise PromptError(f"{path}: variables: declared and used must agree; they differ in: {odd}")
    return Prompt(
        name=path.stem,
        path=path,
        sha256=hashlib.sha256(raw).hexdigest(),
        purpose=front["purpose"],
        variables=declared,
        answer_format=front["answer_format"],
        sources=sources,
    )


def _sources(path: Path, body: str) -> tuple[tuple[str, str], ...]:
    before, *parts = _ROLE.split(body)
    if before.strip() or not parts:
        raise PromptError(
            f"{path}: after the front matter comes a line <!-- system -->, <!-- user --> or <!-- assistant -->"
        )
    return tuple((role, text.removesuffix("\n")) for role, text in zip(parts[::2], parts[1::2], strict=True))


def _used(path: Path, sources: tuple[tuple[str, str], ...]) -> frozenset[str]:
    try:
        trees = [_JINJA.parse(source) for _, source in sources]
    except jinja2.TemplateSyntaxError as error:
        raise PromptError(f"{path}: template error: {error.message}") from error
    return frozenset().union(*(jinja2.meta.find_undeclared_variables(tree) for tree in trees))
