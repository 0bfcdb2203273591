"""Structured output: replies that are to be an object of a pydantic model, and a typed outcome where they are not.

Enters: the `Ask`s that a `Structure` made. Leaves: a `Structured` for every sample. Nothing here is stored but through
the ledger, which keeps the raw text: a better parser needs no new replies, and asking again is a request of its own
with a key of its own, so that a killed run goes on where it was.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from teachers.ledger_rows import LedgerLike
from teachers.records import Ask, Reply

Model = TypeVar("Model", bound=BaseModel)
Form = Literal["json_schema", "json_object", "prompt"]
"""How the endpoint is told: by a JSON schema that it enforces; by wanting some JSON object; by the prompt alone. It is
part of the request, and so of its key, and never changed behind the caller's back."""

_OBJECT = re.compile(r'\{(?=\s*["}])')
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_MOST_OBJECTS: Final = 64
_MOST_PROBLEMS: Final = 5
_MORE: Final = re.compile(r'[{}"]')
_RENAMED: Final = {"oneOf": "anyOf"}  # strict endpoints know the one only


@dataclass(frozen=True, slots=True)
class Structured(Generic[Model]):
    """What one sample came to.

    Attributes:
        outcome: ``parsed``; ``invalid``: there is a reply, but no object in it fits; ``unanswered``: there is none.
        value: The object; ``None`` but for ``parsed``.
        problem: What is wrong with the reply, or why there is none.
        reply: The reply that this was read from: the sample's own, or that to its last repair.
        repairs: How often it was asked again.
        requests: The keys of all requests that it took, in order.
    """

    outcome: Literal["parsed", "invalid", "unanswered"]
    value: Model | None
    problem: str
    reply: Reply
    repairs: int = 0
    requests: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure(Generic[Model]):
    """What replies are to look like, and what is done where they do not.

    Attributes:
        schema: The model.
        repair: From a problem, in words, to the messages that ask again.
        form: How the endpoint is told. ``json_object`` and ``prompt`` leave it to the prompt to show `schema_text`.
        repairs: At most so many times is a sample asked again. Truncated and refused replies are not: they would be so
            again.
        last: Only the object that a reply ends with counts, but for prose after it: a judge may quote what it judges,
            objects included, and its own comes last.
    """

    schema: type[Model]
    repair: Callable[[str], Sequence[Mapping[str, str]]]
    form: Form = "json_schema"
    repairs: int = 1
    last: bool = False

    @property
    def schema_text(self) -> str:
        """The JSON schema, for a prompt."""
        return json.dumps(self.schema.model_json_schema(), ensure_ascii=False)

    def ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, str]],
        sampling: Mapping[str, Any],
        *,
        samples: int,
        label: str,
    ) -> Ask:
        """As `Ask.of`, with the response format that tells the endpoint."""
        return Ask.of(model, messages, {**sampling, **self._response_format()}, samples=samples, label=label)

    def _response_format(self) -> dict[str, Any]:
        if self.form == "prompt":
            return {}
        if self.form == "json_object":
            return {"response_format": {"type": "json_object"}}
        schema = {"name": self.schema.__name__, "strict": True, "schema": strict_schema(self.schema)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def read(self, reply: Reply) -> Structured[Model]:
        """Find the first JSON object in a reply that fits, or `last`; never raises over what a model wrote."""
        if reply.outcome in ("provider_error", "timeout"):
            return Structured("unanswered", None, reply.error or reply.outcome, reply)
        if reply.outcome == "refused":
            return Structured("invalid", None, "refused", reply)
        problem = "there is no JSON object in it"
        for number, found in enumerate((_last_object if self.last else _objects)(reply.text)):
            try:
                return Structured("parsed", self.schema.model_validate_json(json.dumps(found)), "", reply)
            except ValidationError as error:
                problem = _problem(error) if number == 0 else problem
            except (ValueError, RecursionError):
                continue
        return Structured("invalid", None, "truncated" if reply.outcome == "truncated" else problem, reply)

    async def fill(
        self, run: Callable[[Iterable[Ask]], Awaitable[object]], asks: Callable[[], Iterable[Ask]], ledger: LedgerLike
    ) -> None:
        """Fill the ledger with replies, and with repairs where they do not fit.

        Args:
            run: As `Collector.run`; called once, and once more for each round of repairs.
            asks: Gives the asks anew at every call, so that none has to be kept.
            ledger: The one that `run` fills.
        """
        await run(asks())
        for _ in range(self.repairs):
            await run(self._wanting(asks(), ledger))

    def _wanting(self, asks: Iterable[Ask], ledger: LedgerLike) -> Iterator[Ask]:
        for ask in asks:
            for reply in ledger.replies(ask.digest, ask.samples):
                _, next_ask = self._follow(ask, reply, ledger)
                if next_ask is not None:
                    yield next_ask

    def results(self, ask: Ask, ledger: LedgerLike) -> list[Structured[Model]]:
        """What every sample of an ask came to, in order, after the repairs that the ledger holds."""
        return [self._follow(ask, reply, ledger)[0] for reply in ledger.replies(ask.digest, ask.samples)]

    def _follow(self, ask: Ask, reply: Reply, ledger: LedgerLike) -> tuple[Structured[Model], Ask | None]:
        """What a sample came to so far, and the repair that it still wants."""
        found = replace(self.read(reply), requests=(ask.digest,))
        for number in range(1, self.repairs + 1):
            if found.outcome != "invalid" or found.reply.outcome != "ok":
                break
            ask = self._again(ask, found)
            if not ledger.held(ask.digest):
                return found, ask
            next_reply, requests = ledger.replies(ask.digest, 1)[0], (*found.requests, ask.digest)
            found = replace(self.read(next_reply), repairs=number, requests=requests)
        return found, None

    def _again(self, ask: Ask, found: Structured[Model]) -> Ask:
        body = json.loads(ask.canonical)
        said = {"role": "assistant", "content": found.reply.text}
        messages = [*body.pop("messages"), said, *self.repair(found.problem)]
        return Ask.of(body.pop("model"), messages, body, samples=1, label=f"{ask.label}, asked again")


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema as strict endpoints want it: every property required, no others, no defaults."""
    schema = model.model_json_schema()
    if "$ref" in schema:  # a model that holds itself; the outermost schema must be an object's own
        schema |= schema["$defs"][schema.pop("$ref").rpartition("/")[2]]
    strict: dict[str, Any] = _strict(schema)
    return strict


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(part) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:  # no neighbours are allowed beside it
        return {"$ref": node["$ref"]}
    names = ("properties", "$defs")
    strict = {
        _RENAMED.get(key, key): {n: _strict(part) for n, part in value.items()} if key in names else _strict(value)
        for key, value in node.items()
        if key not in ("default", "discriminator")
    }
    if "properties" in strict:
        strict |= {"additionalProperties": False, "required": list(strict["properties"])}
    return strict


def _objects(text: str) -> Iterator[Any]:
    """Every JSON object in a text, outermost first; also those with a comma too many.

    A draft among thoughts is no answer, so what stands before ``</think>`` is not looked at.
    """
    text = text.rpartition("</think>")[2]
    for number, match in enumerate(_OBJECT.finditer(text)):
        if number == _MOST_OBJECTS:
            return
        start = match.start()
        try:
            yield _decode(text, start)
        except (ValueError, RecursionError):
            continue


def _last_object(text: str) -> Iterator[Any]:
    """The JSON object that a text ends with; nothing where more of one, or of a string, follows it."""
    for match in reversed(list(_OBJECT.finditer(text))[-_MOST_OBJECTS:]):
        try:
            found, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if not _MORE.search(text, end):
            yield found
            return


def _decode(text: str, start: int) -> Any:
    try:
        return _DECODER.raw_decode(text, start)[0]
    except json.JSONDecodeError:
        return _DECODER.raw_decode(_TRAILING_COMMA.sub(lambda found: found[1] or "", text[start:]))[0]


def _problem(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(map(str, one['loc'])) or 'the object'}: {one['msg']}" for one in found[:_MOST_PROBLEMS]]
    return "; ".join(lines)
