"""The run folder's README.md: a Hugging Face dataset card, made of nothing that differs between equal runs.

Recipe, prompts, inputs and what the ledger holds decide every byte: no times, and nothing of what this run bought.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pipelines.critic_parts import Critic
from pipelines.endpoints import Endpoint
from pipelines.pages import card_template
from pipelines.publishing.records import HERE, Published
from pipelines.rationales.cleanliness import cleanliness_in_words
from pipelines.rationales.findings import Tables, TeacherVerdicts, verdicts_by_teacher
from pipelines.rationales.recipe import Pairs, Rationales
from pipelines.recipes import Teacher
from pipelines.tables import count_rows

CONFIGS = {"sft": "sft/train", "pairs": "pairs/train"}

JUDGES = {
    "math": "The reply's final answer is compared with the gold answer, as numbers and as formulas (Math-Verify).",
    "choice": "The option that the reply names is compared with the gold one.",
    "model": "A judge model's opinion alone decides.",
    "recorded": "The verdicts that were recorded with the replies decide.",
    "vote": "There is no gold answer: the majority's final answer is taken for right (self-consistency), so "
    "*right* below means *in agreement with the majority*.",
}
_RUBRICS = {
    "answer": "whether its final answer is the gold one",
    "quality": "for a score from 1 to 5 by the recipe's criteria",
}
_WHEN = {
    "unjudged": "where the critic left a reply undecided",
    "not_passed": "where the critic did not pass a reply",
    "always": "about every whole reply",
}
LABELS = {
    "clear": "Only a clearly wrong reply counts as wrong; whatever could not be decided is *unjudged*, and in no "
    "dataset.",
    "redi": "REDI's rule (arXiv 2505.24850, section 3.1): whatever is not verified right counts as wrong, truncated "
    "and unreadable replies included.",
}
_RULES = {
    "boxed": r"the last `\boxed{…}`",
    "phrase": "an explicit phrase such as “the answer is …”",
    "last_number": "the last number of the text",
}
_SECOND = {
    "and": "a right reply needs both, a wrong one needs one of them",
    "or": "a right reply needs one of them, a wrong one needs both",
    "both": "a right reply needs both, and so does a wrong one",
}
_POLICIES = {
    "first": "the first right and the first wrong reply (REDI)",
    "closest_length": "the right and the wrong reply closest in length",
    "hardest_wrong": "the wrong answer with the most votes",
    "all": "every combination of a right and a wrong reply, in order",
}
_SIDES = {
    "prefer_same": "two teachers are paired only where no teacher has both a right and a wrong reply",
    "same": "both sides are by the same teacher",
    "any": "the two sides may be by different teachers",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


class _Markdown(str):
    """Text that is Markdown on purpose."""

    __slots__ = ()


def card(run: Tables, manifest: Mapping[str, Any], published: Published | None = None) -> str:
    """The dataset card of a run whose tables are all written; with what is told of it where it is published."""
    recipe = run.recipe
    return card_template("card.md.jinja", escaped).render(
        front=_Markdown(_front_matter(run)),
        recipe=recipe,
        manifest=manifest,
        rows={name: count_rows(run.table(table)) for name, table in CONFIGS.items()},
        files={name: f"{table}.parquet" for name, table in CONFIGS.items()},
        teachers=[_teacher(*both) for both in zip(manifest["teachers"], recipe.teacher, strict=True)],
        verdicts=[(name, found, _accuracy(found)) for name, found in verdicts_by_teacher(run).items()],
        judge=_Markdown(JUDGES[recipe.critic.judge]),
        opinion=opinion_in_words(manifest, recipe),
        labels=_Markdown(LABELS[recipe.critic.labels]),
        reading=_Markdown(_reading(recipe.critic)),
        second=_SECOND[recipe.critic.combine],
        cuts=[json.dumps(cut, ensure_ascii=False) for cut in recipe.critic.cut],
        pairing=pairing_in_words(recipe.pairs),
        cleanliness=cleanliness_in_words(recipe, manifest),
        spend=_spend(manifest["spend"]),
        redi=_follows_redi(recipe),
        fence=_Markdown("```"),
        published=published,
        place=_Markdown(published.place if published else HERE),
    )


def _reading(critic: Critic) -> str:
    if critic.answer == "program":
        return "what the program that the reply is computes"
    return _in_words([_RULES[rule] for rule in critic.answer])


def escaped(value: object) -> object:
    """A value from outside as one line of Markdown text, fit for a table's cell."""
    if isinstance(value, _Markdown) or not isinstance(value, str):
        return value
    text = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)


def pairing_in_words(pairs: Pairs) -> str:
    """The recipe's pairing policy as a sentence."""
    number = "one pair" if pairs.per_problem == 1 else f"{pairs.per_problem} pairs"
    return f"At most {number} of one problem: {_POLICIES[pairs.policy]}; {_SIDES[pairs.teachers]}.{_limits(pairs)}"


def _limits(pairs: Pairs) -> str:
    limits = pairs.max_tokens
    if limits is None:
        return ""
    parts = {"prompt": limits.prompt, "side": limits.completion}
    told = " or ".join(f"a {name} above {most:,}" for name, most in parts.items() if most is not None)
    return f" A pair with {told} tokens of {limits.tokenizer} is dropped."


def opinion_in_words(manifest: Mapping[str, Any], recipe: Rationales) -> str:
    """Whom the recipe has for a judge, and what that changed; empty without one."""
    judge, told = recipe.judge, manifest["judge"]
    if judge is None:
        return ""
    asked = f"{judge.model} was asked {_WHEN[judge.when]}, {_RUBRICS[judge.rubric]}: about {told['replies']} replies"
    return (
        f"{asked}, which changed {told['decisions_changed']} decisions. Where the critic decides nothing, the judge"
        " decides; where the two differ, the reply is unjudged."
    )


def _front_matter(run: Tables) -> str:
    """The Hub's metadata; a dataset without rows is no config, for it could not be loaded."""
    rows = {name: count_rows(run.table(table)) for name, table in CONFIGS.items()}
    filled = [name for name, count in rows.items() if count]
    front: dict[str, Any] = {
        "pretty_name": run.recipe.name,
        "license": "other",
        "license_name": "set-by-the-owner",
        "language": ["en" if run.recipe.problems.generate else "und"],
        "task_categories": ["text-generation"],
        "tags": ["potstill", "synthetic", "distillation", "rationales", *(["preference"] if rows["pairs"] else [])],
        "size_categories": [next((name for most, name in _SIZES if sum(rows.values()) < most), "n>1M")],
    }
    if filled:
        front["configs"] = [
            {"config_name": name, "data_files": [{"split": "train", "path": f"{CONFIGS[name]}.parquet"}]}
            for name in filled
        ]
        front["configs"][0]["default"] = True
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _teacher(teacher: Mapping[str, Any], recipe: Teacher) -> dict[str, str]:
    return {
        "name": recipe.label,
        "model": recipe.model or "recorded generations",
        "reported": ", ".join(teacher["models_reported"]) or "none",
        "samples": ("at most " if recipe.stop_early else "")
        + str(recipe.samples or ("all recorded" if recipe.recorded else 1)),
        "sampling": "not known" if recipe.recorded else sampling_in_words(teacher["sampling"]),
        "cost": cost_in_words(recipe, teacher["usage"]["usd"]),
    }


def sampling_in_words(sampling: Mapping[str, Any]) -> str:
    """What was sent with every request."""
    values = (f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in sampling.items())
    return ", ".join(values) or "left to the endpoint"


def cost_in_words(asked: Endpoint, usd: float) -> str:
    """A teacher's or judge's cost in USD, or why there is none to tell."""
    if asked.model is None:
        return "recorded"
    if asked.unmetered:
        return "unmetered"
    return dollars(usd)


def dollars(usd: float) -> str:
    """An amount with as many digits as it needs."""
    return f"${usd:,.2f}" if usd >= 10 or not usd else f"${usd:,.4f}"


def _accuracy(found: TeacherVerdicts) -> str:
    if found.interval is None:
        return "nothing decided"
    share, low, high = (f"{100 * end:.1f}" for end in found.interval)
    return f"{share} % ({low} to {high})"


def _spend(spend: Mapping[str, Any]) -> str:
    tokens = f"{spend['prompt_tokens']:,} tokens in prompts and {spend['completion_tokens']:,} in completions"
    return f"{tokens}: {dollars(spend['usd'])} at the prices in manifest.json."


def _follows_redi(recipe: Rationales) -> bool:
    return recipe.critic.labels == "redi" or recipe.pairs.policy == "first"


def _in_words(parts: Sequence[str]) -> str:
    return ", else ".join(parts)
