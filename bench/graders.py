"""Other graders on the very answers of an evaluation: Math-Verify alone, or lm-eval's GSM8K task.

    python bench/graders.py RUN [--grader math-verify]
    LM_EVAL/bin/python bench/graders.py RUN --grader lm-eval      # from an environment with lm-eval

RUN is the folder of a complete evaluation. Prints for every model the shares of right answers and how often the two
graders agree, then some answers on which they do not. Imports nothing of this project, so that either environment does.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import yaml

Grader = Callable[[str, str], bool]
SHOWN = 5


def main() -> int:
    """Grade everything again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--grader", choices=("math-verify", "lm-eval"), default="math-verify")
    args = parser.parse_args()
    grader = lm_eval_gsm8k() if args.grader == "lm-eval" else math_verify_alone
    recipe = yaml.safe_load((args.run / "recipe.yaml").read_text())
    for benchmark in recipe["benchmarks"]:
        compare(args.run / benchmark["name"], benchmark["critic"]["cut"], grader, args.grader)
    return 0


def compare(folder: Path, cuts: list[str], grader: Grader, name: str) -> None:
    """One benchmark, model by model."""
    found: dict[str, list[tuple[str, bool, str, str]]] = {}
    for model, outcome, gold, text in answers(folder, cuts):
        found.setdefault(model, []).append((outcome, grader(gold, text), gold, text))
    differing = []
    for model, rows in found.items():
        ours, theirs = sum(outcome == "pass" for outcome, *_ in rows), sum(right for _, right, *_ in rows)
        decided = [row for row in rows if row[0] != "unjudged"]
        wrong = [row for row in decided if (row[0] == "pass") != row[1]]
        differing += wrong
        agree = 1 - len(wrong) / max(1, len(decided))
        print(
            f"{folder.name} {model:<20} ours {ours / len(rows):.3f}  {name} {theirs / len(rows):.3f}"
            f"  equal on {agree:.4f} of {len(decided)} decided"
        )
    for outcome, right, gold, text in differing[:SHOWN]:
        print(f"ours {outcome}, {name} {'right' if right else 'wrong'}, gold {gold}: …{text[-160:]!r}")


def answers(folder: Path, cuts: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Model, our decision, gold answer and the text that was graded, of every reply."""
    golds = dict(
        zip(*(pq.read_table(folder / "problems.parquet")[key].to_pylist() for key in ("id", "answer")), strict=True)
    )
    verdicts = pq.read_table(folder / "verdicts.parquet", filters=[("critic", "=", "label")]).to_pylist()
    generations = pq.read_table(folder / "generations.parquet").to_pylist()
    for generation, verdict in zip(generations, verdicts, strict=True):
        ends = [end for cut in cuts if (end := generation["text"].find(cut)) >= 0]
        text = generation["text"][: min(ends)] if ends else generation["text"]
        gold = golds[generation["problem_id"]].rpartition("####")[2].strip()
        yield generation["teacher"], verdict["outcome"], gold, text


def math_verify_alone(gold: str, text: str) -> bool:
    """As its README has it."""
    from math_verify import parse, verify

    return bool(verify(parse(f"${gold}$"), parse(text)))


def lm_eval_gsm8k() -> Grader:
    """The task's own flexible filter and metric, read from the installed lm-eval."""
    import lm_eval
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    task = yaml.safe_load((Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml").read_text())
    told = next(one for one in task["filter_list"] if one["name"] == "flexible-extract")["filter"][0]
    flexible = RegexFilter(told["regex_pattern"], group_select=told["group_select"])
    metric = {key: task["metric_list"][0][key] for key in ("regexes_to_ignore", "ignore_case", "ignore_punctuation")}

    def grade(gold: str, text: str) -> bool:
        ((answer,),) = flexible.apply([[text]], [{}])
        return bool(exact_match_hf_evaluate([answer], [gold], **metric)["exact_match"])

    return grade


if __name__ == "__main__":
    sys.exit(main())
