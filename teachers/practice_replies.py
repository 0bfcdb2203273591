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
    key: str, body: dict[str, Any], *, truncated: bool, style: JsonStyle | None, reasoning: Reasoning | None
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
    """
    question = _question(body, again=style is not None)
    number = int(body.get("n", 1))
    finish = ["length" if truncated else "stop"] * number
    if style == "judge":
        said = json.dumps(opinion(body["messages"]))
        messages = [{"role": "assistant", "content": said} for _ in range(number)]
    elif style == "world":
        played = play(str(body["model"]), body["messages"], key, number)
        messages = [{"role": "assistant", "content": text} for text in played]
        question = " ".join(str(message["content"]) for message in body["messages"])
    elif style == "graph":
        written = practice_graph.write(body["messages"], key, number)
        messages = [{"role": "assistant", "content": said.text} for said in written]
        finish = ["length" if truncated else said.finish_reason for said in written]
    else:
        again = _is_again(body)
        messages = [_message(question, f"{key}:{index}", style, reasoning, again) for index in range(number)]
    if truncated:
        for message in messages:
            field = reasoning or "content"
            message[field] = message[field][: len(message[field]) // 2]
            message["content"] = message["content"] if field == "content" else ""
    texts = [" ".join(text for name, text in message.items() if name != "role") for message in messages]
    asked, answered = len(question.split()), sum(len(text.split()) for text in texts)
    return {
        "id": f"practice-{key[:12]}",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [
            {"index": index, "message": message, "finish_reason": finish[index], **_logprobs(body, message, index)}
            for index, message in enumerate(messages)
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
    }


def _logprobs(body: dict[str, Any], message: dict[str, str], index: int) -> dict[str, object]:
    return {"logprobs": practice_graph.logprobs(message["content"], str(index))} if body.get("logprobs") else {}


def _is_again(body: dict[str, Any]) -> bool:
    return any(message.get("role") == "assistant" for message in body["messages"])


def _question(body: dict[str, Any], *, again: bool) -> str:
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        return ""
    asked = [message for message in messages if message.get("role") == "user"] if again else messages
    return str((asked[0] if again else asked[-1])["content"])


def _message(
    question: str, seed: str, style: JsonStyle | None, reasoning: Reasoning | None, again: bool
) -> dict[str, str]:
    first, second = [int(number) for number in re.findall(r"\d+", question)[:2]] or [0, 0]
    slip = 10 if draw(seed) < 0.2 else 0
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
