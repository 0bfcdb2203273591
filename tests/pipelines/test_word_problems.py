import re
from operator import add, floordiv, mul, sub

import pytest

from pipelines.embedded import word_problems
from pipelines.embedded.word_problems import CARD, DEMO, TRAINING, WordProblem, word_problem

OPERATORS = {"+": add, "-": sub, "*": mul, "/": floordiv}


@pytest.fixture(scope="module")
def many() -> list[WordProblem]:
    return [word_problem(DEMO, index) for index in range(3_000)]


def test_every_equation_holds_and_the_last_one_is_the_answer(many: list[WordProblem]) -> None:
    for problem in many:
        equations = re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)", problem.rationale)
        assert equations
        for left, operator, right, result in equations:
            assert OPERATORS[operator](int(left), int(right)) == int(result)
            assert operator != "/" or int(left) % int(right) == 0
        assert equations[-1][-1] == problem.answer
        assert problem.rationale.endswith(rf"The answer is \boxed{{{problem.answer}}}.")
        assert 0 <= int(problem.answer) <= 999


def test_an_equation_uses_only_numbers_that_are_known_by_then(many: list[WordProblem]) -> None:
    for problem in many:
        if "tens, then ones" in problem.rationale:
            continue  # takes numbers apart
        known = set(re.findall(r"\d+", problem.question))
        for left, right, result in re.findall(r"(\d+) [-+*/] (\d+) = (\d+)", problem.rationale):
            assert {left, right} <= known
            known.add(result)


def test_a_story_leaves_no_slot_open_and_reads_as_sentences(many: list[WordProblem]) -> None:
    for problem in many:
        assert not re.search(r"[{}_]", problem.question)
        assert not re.search(r"  |\s$|^\s", problem.question + problem.rationale)
        assert problem.question.endswith("?")
        assert all(part[0].isupper() or part[0].isdigit() for part in re.split(r"(?<=[.?])\s", problem.question))


def test_a_problem_depends_on_its_seed_and_index_alone() -> None:
    backwards = [word_problem(DEMO, index) for index in reversed(range(50))]
    assert backwards[::-1] == [word_problem(DEMO, index) for index in range(50)]
    assert word_problem(DEMO, 3) != word_problem(TRAINING, 3) != word_problem(CARD, 3)


def test_the_module_shows_a_problem_that_it_makes() -> None:
    shown = word_problem(DEMO, 1)
    told = " ".join((word_problems.__doc__ or "").split())
    assert f"question {shown.question}" in told
    assert f"rationale {' '.join(shown.rationale.split())} answer {shown.answer}" in told


def test_care_changes_the_rationale_and_nothing_else() -> None:
    for index in range(200):
        careful, careless = word_problem(DEMO, index, careful=1.0), word_problem(DEMO, index, careful=0.0)
        assert (careful.question, careful.answer) == (careless.question, careless.answer)
        assert "tens, then ones" not in careless.rationale
    assert any("tens, then ones" in word_problem(DEMO, index, careful=1.0).rationale for index in range(20))


def test_stories_are_of_many_kinds(many: list[WordProblem]) -> None:
    shapes = {re.sub(r"\d+", "#", problem.question) for problem in many}
    steps = [len(re.findall(r" = ", problem.rationale)) for problem in many]
    assert len(shapes) > 2_500
    assert min(steps) == 1
    assert {"+", "-", "*", "/"} <= set("".join(problem.rationale for problem in many))


def test_some_stories_hold_a_number_that_nobody_needs(many: list[WordProblem]) -> None:
    idle = sum(bool(re.search(r"years old|also owns|miles|minutes", problem.question)) for problem in many)
    assert 0.2 < idle / len(many) < 0.3


def test_two_streams_seldom_share_a_question(many: list[WordProblem]) -> None:
    learnt = {word_problem(TRAINING, index).question for index in range(20_000)}
    assert sum(problem.question in learnt for problem in many) < len(many) * 0.01
