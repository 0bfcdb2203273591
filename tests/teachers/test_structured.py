"""Structured output: what can be read is read, what cannot is asked again, and nothing raises."""

import asyncio
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from prompts import load_prompt
from teachers.asking import Collector
from teachers.flow_control import Lane, Limits
from teachers.ledger import Ledger
from teachers.openai_endpoint import OpenAIEndpoint
from teachers.policy import Policy
from teachers.records import Ask, Reply
from teachers.structured import Form, Structure, Structured, strict_schema

Serve = Callable[..., str]


class Sum(BaseModel):
    """A sum with its working."""

    working: str = ""
    total: int = Field(ge=0)


class Tree(BaseModel):
    """A model that holds itself."""

    word: str
    below: "list[Tree]" = []


def repair(problem: str) -> list[dict[str, str]]:
    return load_prompt("repair_json").messages({"problem": problem})


SUMS = Structure(Sum, repair)


def reply(text: str, outcome: Literal["ok", "refused", "truncated", "timeout"] = "ok") -> Reply:
    return Reply(b"d", 0, outcome, text=text, error="late" if outcome == "timeout" else "")


@pytest.mark.parametrize(
    "text",
    [
        '{"total": 4}',
        '  {\n "total": 4 }\n',
        'Sure!\n```json\n{"total": 4}\n```\nDone.',
        'A 5" pipe, {see below}: \\frac{1}{2}. {"total": 4} {"total": 5}',
        '{"working": "a, }", "total": 4,}',
        '{"working": "two\nlines", "total": 4}',
        '{"result": {"total": 4}}',
        '{"total": "many"} or rather {"total": 4}',
        '{"working": "half, {"total": 4}',
        '<think>{"total": 9}</think>{"total": 4}',
        '{"working": "{\\"total\\": 9}", "total": 4}',
    ],
)
def test_the_first_object_that_fits_is_taken(text: str) -> None:
    found = SUMS.read(reply(text))
    assert found.outcome == "parsed", found.problem
    assert found.value is not None
    assert found.value.total == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("4", "no JSON object"),
        ("[4]", "no JSON object"),
        ('{"total": -4}', "total: Input should be greater than or equal to 0"),
        ('{"totals": 4}', "total: Field required"),
        ('{"total": NaN}', "total"),
        ('{"total": ' + "9" * 5000 + "}", ""),
        ('{"a":' * 100_000, "no JSON object"),
        ("{" * 100_000, "no JSON object"),
        ('{"working": "\\ud800", "total": -1}', ""),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_raises(text: str, problem: str) -> None:
    found = SUMS.read(reply(text))
    assert (found.outcome, found.value) == ("invalid", None)
    assert problem in found.problem


def test_a_reply_that_broke_off_or_never_came_is_not_wrong() -> None:
    assert SUMS.read(reply('{"working": "so', "truncated")).problem == "truncated"
    assert SUMS.read(reply('{"total": 4} And', "truncated")).outcome == "parsed"
    assert SUMS.read(reply("I cannot", "refused")).outcome == "invalid"
    assert (SUMS.read(reply("", "timeout")).outcome, SUMS.read(reply("", "timeout")).problem) == ("unanswered", "late")


def test_the_schema_is_strict_all_the_way_down() -> None:
    class Inner(BaseModel):
        default: int = 3
        word: Literal["a", "b"] | None = Field(default=None, description="one of two")

    class Outer(BaseModel):
        inner: Inner = Field(default=Inner(), description="a part")
        properties: list[Inner] = []

    schema = strict_schema(Outer)
    assert schema["required"] == ["inner", "properties"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["inner"] == {"$ref": "#/$defs/Inner"}
    inner = schema["$defs"]["Inner"]
    assert inner["required"] == ["default", "word"]
    assert inner["properties"]["word"]["description"] == "one of two"
    assert "default" not in inner["properties"]["word"]


def test_a_schema_that_holds_itself_and_a_choice_of_models_are_strict() -> None:
    class Leaf(BaseModel):
        kind: Literal["leaf"] = "leaf"

    class Other(BaseModel):
        kind: Literal["other"] = "other"

    class Holder(BaseModel):
        part: Annotated[Leaf | Other, Field(discriminator="kind")]

    (part,) = strict_schema(Holder)["properties"].values()
    assert set(part) == {"anyOf", "title"}
    tree = strict_schema(Tree)
    assert (tree["type"], tree["required"]) == ("object", ["word", "below"])
    assert tree["$defs"]["Tree"]["required"] == ["word", "below"]
    assert Structure(Tree, repair).read(reply('{"word": "a", "below": [{"word": "b"}]}')).outcome == "parsed"


def test_the_form_is_part_of_the_request_and_its_key() -> None:
    def ask(form: Form) -> Ask:
        return Structure(Sum, repair, form).ask("m", [], {"seed": 1}, samples=1, label="")

    asks = [ask("json_schema"), ask("json_object"), ask("prompt")]
    assert len({one.digest for one in asks}) == 3
    wanted = [json.loads(one.canonical).get("response_format") for one in asks]
    assert wanted[0]["json_schema"]["strict"] is True
    assert wanted[1:] == [{"type": "json_object"}, None]


def collect(url: str, path: Path, structure: Structure[Sum], asks: list[Ask]) -> list[list[Structured[Sum]]]:
    async def go() -> None:
        async with OpenAIEndpoint(url, api_key=None, connections=8) as endpoint:
            policy = Policy(backoff_s=0.01)
            collector = Collector(endpoint, Lane(Limits(64)), book, policy, "t", asyncio.Event(), lambda tally: None)
            await structure.fill(collector.run, lambda: asks, book)

    with Ledger(path) as book:
        asyncio.run(go())
        return [structure.results(ask, book) for ask in asks]


def asked(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        return int(json.load(answer)["asked"])


@pytest.mark.parametrize(("style", "repairs"), [("fenced", 0), ("broken", 1)])
def test_a_teacher_is_read_whatever_its_json_looks_like(serve: Serve, tmp_path: Path, style: str, repairs: int) -> None:
    url, ledger = serve("--json", style), tmp_path / "l.sqlite"
    asks = [
        SUMS.ask("m", [{"role": "user", "content": f"Add {i} and 7."}], {}, samples=2, label=f"{i}") for i in range(10)
    ]
    found = collect(url, ledger, SUMS, asks)
    for number, results in enumerate(found):
        assert [(one.outcome, one.repairs) for one in results] == [("parsed", repairs)] * 2
        assert all(one.value is not None and one.value.total in (number + 7, number + 17) for one in results)
    bought = asked(url)
    assert bought >= 10 + 10 * repairs
    assert collect(url, ledger, SUMS, asks) == found
    assert asked(url) == bought, "nothing is bought twice, repairs included"


def test_repairs_are_bounded_and_leave_the_raw_text(serve: Serve, tmp_path: Path) -> None:
    class Never(Sum):
        missing: str

    url = serve("--json", "plain")
    never: Structure[Sum] = Structure(Never, repair, repairs=3)
    ask = never.ask("m", [{"role": "user", "content": "Add 2 and 2."}], {}, samples=1, label="a")
    ((found,),) = collect(url, tmp_path / "l.sqlite", never, [ask])
    assert (found.outcome, found.repairs, found.problem) == ("invalid", 3, "missing: Field required")
    assert found.reply.text.startswith("{")
    assert asked(url) == 4
