"""What a run's data was checked for, in sentences: for the dataset card and the report."""

from collections.abc import Mapping
from typing import Any

from pipelines.rationales.filter_recipes import NearDuplicates, ProblemFilters, ReplyFilters, SoftUniqueness
from pipelines.rationales.recipe import Rationales

_MEASURES = {
    "minhash": "estimated Jaccard similarity of their runs of three words",
    "embedding": "cosine of their sentence embeddings",
}
_WITHIN = {"problem": "one problem", "dataset": "the whole dataset"}
_DONE = {"reject": "dropped", "mask": "replaced by their kind"}


def cleanliness_in_words(recipe: Rationales, manifest: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that was, or was not, looked for."""
    return [
        _decontamination(manifest),
        *_privacy(manifest),
        *_likeness("Problems", recipe.filters.problems),
        *_likeness(f"Right replies of {_WITHIN[recipe.filters.replies.within]}", recipe.filters.replies),
    ]


def _decontamination(manifest: Mapping[str, Any]) -> str:
    told = manifest.get("decontamination")
    if told is None:
        return "Not checked against any evaluation set: the recipe names none."
    sets = ", ".join(f"{one['name']} ({one['rows']} questions)" for one in told["sets"])
    removed = told["removed"]
    return (
        f"Checked against {sets}: {removed['problems']} problems and {removed['clean']} replies were dropped, which "
        "share 13 words in a row with a question, or 70 % of its runs of 8, or are 95 % the same."
    )


def _privacy(manifest: Mapping[str, Any]) -> list[str]:
    told = manifest.get("privacy")
    if told is None:
        return ["Not searched for secrets or personal data."]
    kinds = {"Secrets": told["secrets"], "Personal data": told["personal_data"]}
    lines = [f"{name} found by their form were {_DONE[action]}." for name, action in kinds.items() if action]
    lines += [f"{name} were not searched for." for name, action in kinds.items() if not action]
    if told["masked"]:
        lines.append("Masked: " + ", ".join(f"{count} {name}" for name, count in told["masked"].items()) + ".")
    if told["canaries"]:
        lines.append(
            f"Canaries: {told['canaries']} SFT rows end with a sentence that holds a random number, to measure what a "
            "student memorises. They are listed in canaries.parquet: take them out before passing the data on."
        )
    return lines


def _likeness(texts: str, filters: ProblemFilters | ReplyFilters) -> list[str]:
    near: NearDuplicates | None = filters.near_duplicates
    soft: SoftUniqueness | None = filters.soft_uniqueness
    lines = []
    if near is not None:
        lines.append(
            f"{texts}: of near-duplicates the first was kept ({_MEASURES[near.method]} from {near.threshold})."
        )
    if soft is not None:
        lines.append(f"{texts}: no two kept ones have a BLEU above {soft.bleu} (soft uniqueness).")
    return lines
