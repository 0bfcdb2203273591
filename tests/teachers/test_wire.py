"""Reading replies as the providers that think apart really shape them."""

import json
from typing import Any

import pytest

from teachers.records import Reply
from teachers.wire import RawResponse, read_replies, read_response


def body(message: dict[str, Any], finish: str | None = "stop", **choice: Any) -> bytes:
    return json.dumps({"model": "m", "choices": [{"message": message, "finish_reason": finish, **choice}]}).encode()


def read(message: dict[str, Any], finish: str | None = "stop") -> Reply:
    (reply,) = read_replies(b"d", 0, body(message, finish), seq=1)
    return reply


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, {"type": "text", "text": "m"}]},
    {"type": "text", "text": "4"},
]


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "4"}, "4", ""),
        ({"content": "4", "reasoning_content": "hmm"}, "4", "hmm"),
        ({"content": "4", "reasoning": "hmm", "reasoning_details": [{"type": "reasoning.text"}]}, "4", "hmm"),
        ({"content": "4", "reasoning": None, "reasoning_content": None}, "4", ""),
        ({"content": PARTS}, "4", "hmm"),
        ({"content": "<think>hmm</think>4"}, "<think>hmm</think>4", ""),
        ({"content": None, "reasoning_content": "hmm"}, "", "hmm"),
        ({"content": 4, "reasoning": {"effort": "low"}}, "", ""),
        ({"content": None, "refusal": "I cannot"}, "I cannot", ""),
    ],
)
def test_text_and_reasoning_are_told_apart(message: dict[str, Any], text: str, reasoning: str) -> None:
    assert (read(message).text, read(message).reasoning) == (text, reasoning)


@pytest.mark.parametrize("content", ["", None, "half an ans"])
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_a_limit_met_while_thinking_is_a_truncated_reply(content: str | None, field: str) -> None:
    reply = read({"content": content, field: "hm"}, "length")
    assert (reply.outcome, reply.finish_reason, reply.reasoning) == ("truncated", "length", "hm")


def test_a_finish_reason_that_is_not_given_is_not_known() -> None:
    assert (read({"content": "4"}, None).outcome, read({"content": "4"}, None).finish_reason) == ("ok", None)


@pytest.mark.parametrize("fault", [{"error": {"code": 502, "message": "lost"}}, {"finish": "error"}])
def test_a_provider_lost_in_mid_reply_is_no_answer(fault: dict[str, Any]) -> None:
    assert read_response(RawResponse(200, body({"content": "half"}, **fault))).kind == "retry"


def test_half_a_surrogate_pair_is_replaced_and_raises_nothing() -> None:
    assert read({"content": "so \ud83d", "reasoning": "\udc00"}).text == "so ?"
    assert read_response(RawResponse(500, b'{"error": {"message": "lost \\ud83d"}}')).error == "HTTP 500: lost ?"
