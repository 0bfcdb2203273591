"""What is found and masked, and what arithmetic must not be taken for."""

import pytest

from critics.canaries import SPACE, canaries
from critics.privacy import find, masked

BOTH = ("secrets", "personal_data")
GITHUB = "ghp_" + "a1B2" * 9
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----"


def mask(text: str, region: str = "US") -> str:
    return masked(text, find(text, kinds=BOTH, region=region))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Write to ann.lee@example.co.uk, please.", "Write to <EMAIL>, please."),
        ("Call +49 30 901820 or (212) 555-0123.", "Call <PHONE> or <PHONE>."),
        ("Her card is 4111 1111 1111 1111.", "Her card is <CARD>."),
        ("IBAN DE89 3704 0044 0532 0130 00 it is.", "IBAN <IBAN> it is."),
        ("SSN 536-22-8726", "SSN <SSN>"),
        ("The server 8.8.8.8 answers.", "The server <IP_ADDRESS> answers."),
        (f"export TOKEN={GITHUB}", "export TOKEN=<SECRET>"),
        ("git clone https://ann:hunter2@example.org/a", "git clone https<SECRET>example.org/a"),
        (f"Key:\n{PEM}\nDone.", "Key:\n<SECRET>\nDone."),
        ("a@b.de and a@b.de", "<EMAIL> and <EMAIL>"),
    ],
)
def test_found_and_masked(text: str, said: str) -> None:
    assert mask(text) == said
    assert mask(said) == said


@pytest.mark.parametrize(
    "text",
    [
        "So 12 * 14 = 168 and 2,345,678 - 1,234,567 = 1,111,111.",
        "10! = 3628800, 20! = 2432902008176640000, and 2125550123 is odd.",
        "x = 3.14159265358979, y = 100 200 300, z = 48/2 = 24",
        "Card 4111 1111 1111 1112 has a wrong digit; host 192.168.4.1 is at home; version 1.2.3.4.5",
        "Tom had $1,234.56 on 2021-05-17 at 10:30.",
    ],
)
def test_arithmetic_is_left_alone(text: str) -> None:
    assert mask(text) == text


def test_only_what_is_asked_for_is_found() -> None:
    text = f"{GITHUB} of ann@example.org"
    assert [one.name for one in find(text, kinds=["secrets"], region="US")] == ["SECRET"]
    assert [one.name for one in find(text, kinds=["personal_data"], region="US")] == ["EMAIL"]


def test_a_region_has_its_own_numbers() -> None:
    assert mask("Ruf 030 901820 an.", "DE") == "Ruf <PHONE> an."
    assert mask("Ruf 030 901820 an.", "US") == "Ruf 030 901820 an."


def test_canaries_differ_and_repeat_with_their_seed() -> None:
    planted = canaries(1000, seed=3)
    assert planted == canaries(1000, seed=3)
    assert planted[:5] != canaries(5, seed=4)
    assert len({one.secret for one in planted}) == 1000 <= SPACE
    assert all(one.secret in one.sentence for one in planted)
