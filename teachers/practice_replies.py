"""What the practice teacher writes: the sum of two numbers, as prose or as JSON, with its thoughts apart or not."""

import json
import re
from typing import Any, Literal

from teachers import practice_graph
from teachers.practice_faults import draw
from teachers.practice_judge import opinion
from teachers.practice_world import play

JsonStyle = Literal["plain", "fenced", "broken", "judge", "world", "graph"]
Reasoning = Literal["reasoning_content", "reasoning"]


def completion(
    key: str,
    body: dict[str, Any],
    *,
    truncated: bool,
    style: JsonStyle | None,
    reasoning: Reasoning | None,
    wrong: float,
    version: str,
) -> dict[str, object]:
    """The reply to a request.

    Args:
        key: SHA-256 of the request, in hex: with a sample's index it decides whether the sum is right.
        body: The request.
        truncated: Break off in the middle, of the thoughts where they are told apart.
        style: Answer ``{"working": …, "total": …}``: as it is, in a fence after some prose, or broken until somebody
            asks again; ``judge`` gives its opinion (`practice_judge`); ``world`` plays who the model is called after
            (`practice_world`); ``graph`` writes heads and tails and judges them (`practice_graph`); ``None`` answers in
            prose.
        reasoning: The field to think in, as endpoints call it; ``None`` thinks aloud.
        wrong: The share of sums that it gets wrong.
        version: Of the model, as the reply reports it; empty: the reply names the model alone.
    """
    question = _question(body, again=style is not None)
    written = _written(key, body, question, style, reasoning, wrong)
    if style in ("world", "graph"):
        question = " ".join(str(message["content"]) for message in body["messages"])
    if truncated:
        for message, _ in written:
            field = reasoning or "content"
            message[field] = message[field][: len(message[field]) // 2]
            message["content"] = message["content"] if field == "content" else ""
    texts = [" ".join(text for name, text in message.items() if name != "role") for message, _ in written]
    asked, answered = len(question.split()), sum(len(text.split()) for text in texts)
    return {
        "id": f"practice-{key[:12]}",
        "object": "chat.completion",
        **_model(body["model"], version),
        "choices": [
            {
                "index": index,
                "message": message,
                "finish_reason": "length" if truncated else finish,
                **_logprobs(body, message, index),
            }
            for index, (message, finish) in enumerate(written)
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
    }


def _written(
    key: str, body: dict[str, Any], question: str, style: JsonStyle | None, reasoning: Reasoning | None, wrong: float
) -> list[tuple[dict[str, str], str]]:
    """Every sample's message, and how it ends."""
    number = int(body.get("n", 1))
    if style == "graph":
        said = practice_graph.write(body["messages"], key, number)
        return [({"role": "assistant", "content": one.text}, one.finish_reason) for one in said]
    if style == "judge":
        texts = [json.dumps(opinion(body["messages"]))] * number
    elif style == "world":
        texts = play(str(body["model"]), body["messages"], key, number)
    else:
        again = _is_again(body)
        said_so = (_message(question, f"{key}:{index}", style, reasoning, again, wrong) for index in range(number))
        return [(message, "stop") for message in said_so]
    return [({"role": "assistant", "content": text}, "stop") for text in texts]


def _logprobs(body: dict[str, Any], message: dict[str, str], index: int) -> dict[str, object]:
    return {"logprobs": practice_graph.logprobs(message["content"], str(index))} if body.get("logprobs") else {}


def _model(name: object, version: str) -> dict[str, object]:
    return {"model": f"{name}-{version}", "system_fingerprint": f"fp_{version}"} if version else {"model": name}


def _is_again(body: dict[str, Any]) -> bool:
    return any(message.get("role") == "assistant" for message in body["messages"])


def _question(body: dict[str, Any], *, again: bool) -> str:
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        return ""
    asked = [message for message in messages if message.get("role") == "user"] if again else messages
    return str((asked[0] if again else asked[-1])["content"])


def _message(
    question: str, seed: str, style: JsonStyle | None, reasoning: Reasoning | None, again: bool, wrong: float
) -> dict[str, str]:
    first, second = [int(number) for number in re.findall(r"\d+", question)[:2]] or [0, 0]
    slip = 10 if draw(seed) < wrong else 0
    total = first + second + slip
    thoughts = f"Take {first} and {second} together.\n{first} + {second} = {total}"
    message = {"role": "assistant", reasoning: thoughts} if reasoning else {"role": "assistant"}
    if style is not None:
        message["content"] = _json({"working": thoughts, "total": total}, style, again)
    else:
        message["content"] = f"\\boxed{{{total}}}" if reasoning else f"{thoughts}\n\\boxed{{{total}}}"
    return message


def _json(values: dict[str, object], style: JsonStyle, again: bool) -> str:
    if style == "broken" and not again:
        return json.dumps({**values, "total": "a lot"})
    text = json.dumps(values, indent=2)
    return f"Here is {{my}} answer:\n```json\n{text[:-2]},\n}}\n```\nIt is right." if style == "fenced" else text
