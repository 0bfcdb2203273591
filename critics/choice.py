"""Multiple choice: which option a reply names, by letter, by text or by both, and whether it is the gold one.

Enters: a reply, the options in the order they were shown, the gold (an option's text, its letter, or its number
counted from one). Leaves: a `Verdict` whose ``answer`` is the option's text as the menu has it.

The reply's last explicit answer counts; a reply that is nothing but an option counts too. A letter and a text that
name different options are unjudged, and so is everything that is not on the menu, names several options, or is only a
letter where the letters were not ours (``letters=False``: the model saw the options in another order, so its letters
say nothing).
"""

import re
import string
from collections.abc import Sequence

from critics.final_answer import Rule, read_answer
from critics.quantity import unwrap
from critics.verdict import Verdict

CRITIC = "choice"
_LETTERED = re.compile(
    r"(?:(?:option|choice|letter)\s+)?(?:\(([A-Z])\)[.:]?|([A-Z])[).:]|([A-Z]))(?=\s|$)\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_LETTER_INSIDE = re.compile(r"\(([A-Za-z])\)")
_CLAUSE_END = re.compile(r"[,.;:(!\n]|\s-\s|\s(?:because|since|as|which|so)\s")


def judge_choice(
    text: str,
    *,
    choices: Sequence[str],
    gold: str,
    letters: bool = True,
    rules: Sequence[Rule] = ("boxed", "phrase"),
) -> Verdict:
    """Judge which option a reply chose.

    Args:
        text: The reply.
        choices: The options as shown; the same text twice is one option.
        gold: The right option: its text, its letter, or its number counted from one.
        letters: Whether the reply's letters follow the order of ``choices``.
        rules: How the final answer is read.
    """
    menu = [_plain(choice) for choice in choices]
    right = _resolve_gold(gold, menu)
    found = read_answer(text, rules)
    said = unwrap(found.text if found else text)
    if right is None:
        return Verdict(CRITIC, "unjudged", "gold_unreadable")
    chosen = _resolve(said, menu, letters=letters)
    if isinstance(chosen, str):
        return Verdict(CRITIC, "unjudged", chosen if found else "no_answer")
    same = menu[chosen] == menu[right]
    return Verdict(
        CRITIC, "pass" if same else "fail", "equal" if same else "different", choices[menu.index(menu[chosen])]
    )


def choice_of(gold: str, choices: Sequence[str]) -> str | None:
    """The text of the option that a gold answer names, by its text, letter or number; ``None`` where it names none."""
    place = _resolve_gold(gold, [_plain(choice) for choice in choices])
    return None if place is None else choices[place]


def _resolve_gold(gold: str, menu: list[str]) -> int | None:
    if _plain(gold) in menu:
        return menu.index(_plain(gold))
    label = gold.strip().strip("().").upper()
    labels = string.ascii_uppercase if label.isalpha() else "123456789"
    place = labels.find(label) if len(label) == 1 else -1
    return place if 0 <= place < len(menu) else None


def _resolve(said: str, menu: list[str], *, letters: bool) -> int | str:
    """The option that ``said`` names, or why it names none."""
    lettered = _LETTERED.fullmatch(said.strip())
    if lettered is None or (lettered[3] and lettered[4].strip()):  # "a bridge": an article
        by_whole = _by_text(said, menu)
        return _off_menu(said, menu) if by_whole is None else by_whole
    letter = next(group for group in lettered.groups()[:3] if group)
    place = string.ascii_lowercase.find(letter.lower())
    rest = lettered[4].strip(" .:-")
    by_text = _by_text(rest, menu)
    if len(set(_LETTER_INSIDE.findall(said))) > 1 or (rest and by_text is None):
        return _off_menu(said, menu)
    if not letters:
        return "letter_only" if by_text is None else by_text
    if place >= len(menu):
        return "not_on_the_menu"
    return place if by_text is None or menu[by_text] == menu[place] else "letter_and_text_differ"


def _off_menu(said: str, menu: list[str]) -> str:
    """Why ``said`` names no option: several, a letter beside another text, or something else altogether."""
    named = {choice for choice in menu if choice and re.search(rf"\b{re.escape(choice)}\b", _plain(said))}
    longest = {choice for choice in named if not any(choice != other and choice in other for other in named)}
    if len(longest) > 1 or len(set(_LETTER_INSIDE.findall(said))) > 1:
        return "several_choices"
    return "letter_and_text_differ" if _LETTER_INSIDE.match(said) else "not_on_the_menu"


def _by_text(said: str, menu: list[str]) -> int | None:
    """The option whose text this is, as a whole or up to the end of its clause."""
    clause = _CLAUSE_END.split(said, maxsplit=1)[0]
    for candidate in (_plain(said), _plain(clause)):
        if candidate and candidate in menu:
            return menu.index(candidate)
    return None


def _plain(text: str) -> str:
    """Lower case, no articles, punctuation or doubled blanks."""
    words = re.sub(r"[^\w\s%$+/-]", " ", text.casefold()).split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words)
