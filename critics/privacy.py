"""Secrets and personal data in texts, found by form and check digits: no model is needed, and nothing is sent anywhere.

Enters: a text. Leaves: what was found and where. `masked` puts the kind in its place, as in ``<EMAIL>``.

- Secrets: the forms that detect-secrets knows (keys and tokens of AWS, GitHub, OpenAI, Slack, Stripe and others,
  passwords in addresses), and private keys in PEM as a whole. Its detectors that go by entropy or by a word such as
  ``password`` are left out, for in prose they mostly find what is none; so is Artifactory's, which finds words in
  capitals.
- Personal data: e-mail addresses; telephone numbers that libphonenumber holds for valid, of any country in
  international form and of one region in its own; bank cards (Luhn), IBAN and US social security numbers
  (python-stdnum); public IPv4 addresses. A number counts as a telephone's only if it is written as one, not as digits
  alone.

Names and postal addresses are not found: that takes a model, and it would mask the people of word problems.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import phonenumbers
import stdnum.iban
import stdnum.luhn
import stdnum.us.ssn
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

Kind = Literal["secrets", "personal_data"]

_DETECTORS = (
    AWSKeyDetector,
    AzureStorageKeyDetector,
    BasicAuthDetector,
    DiscordBotTokenDetector,
    GitHubTokenDetector,
    GitLabTokenDetector,
    JwtTokenDetector,
    MailchimpDetector,
    NpmDetector,
    OpenAIDetector,
    PypiTokenDetector,
    SendGridDetector,
    SlackDetector,
    SquareOAuthDetector,
    StripeDetector,
    TelegramBotTokenDetector,
    TwilioKeyDetector,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----.*?(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----|\Z)", re.DOTALL
)
_FORMS = [_PRIVATE_KEY, *(form for detector in _DETECTORS for form in detector.denylist)]
_EMAIL = re.compile(r"\b[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)")
_CARD = re.compile(r"(?<![\d.])[3-6]\d{3}(?:[ -]?\d){9,15}(?![\d.]*\d)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")
_MANY_DIGITS = re.compile(r"\d(?:[\s().+-]*\d){6}")  # fewer are no telephone number; looking for one is slow
_DIGIT = re.compile(r"\d")
_SHORTEST = 6  # digits of a telephone number


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of text that should not be trained on.

    Attributes:
        name: What it is, as in ``EMAIL``; for secrets ``SECRET``.
        start: Position of its first character.
        end: Position after its last one.
    """

    kind: Kind
    name: str
    start: int
    end: int


def find(text: str, *, kinds: Sequence[Kind], region: str) -> list[Finding]:
    """What a text holds of `kinds`, from left to right, without overlaps.

    Args:
        kinds: What to look for.
        region: Where telephone numbers without a country code are from, as in ``US``.
    """
    found: list[Finding] = []
    if "secrets" in kinds:
        found += (Finding("secrets", "SECRET", *span) for span in _secrets(text))
    if "personal_data" in kinds:
        found += (Finding("personal_data", name, *span) for name, span in _personal(text, region))
    found.sort(key=lambda one: (one.start, -one.end))
    return [one for number, one in enumerate(found) if all(one.start >= before.end for before in found[:number])]


def masked(text: str, findings: Sequence[Finding]) -> str:
    """The text with a name in place of each finding."""
    for one in reversed(findings):
        text = f"{text[: one.start]}<{one.name}>{text[one.end :]}"
    return text


def _secrets(text: str) -> Iterator[tuple[int, int]]:
    for form in _FORMS:
        for match in form.finditer(text):  # whole: the groups of some forms are less than the secret
            yield match.span()


def _personal(text: str, region: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for match in _EMAIL.finditer(text):
        yield "EMAIL", match.span()
    for match in _IPV4.finditer(text):
        if _is_public(match[0]):
            yield "IP_ADDRESS", match.span()
    for name, form, check in (
        ("CARD", _CARD, stdnum.luhn.is_valid),
        ("IBAN", _IBAN, stdnum.iban.is_valid),
        ("SSN", _SSN, stdnum.us.ssn.is_valid),
    ):
        for match in form.finditer(text):
            if check(re.sub(r"[ -]", "", match[0])):
                yield name, match.span()
    if _MANY_DIGITS.search(text):
        start = 0
        for line in text.split("\n"):  # no number goes over its end; looking at those without one is what takes long
            if len(_DIGIT.findall(line)) >= _SHORTEST:
                yield from (("PHONE", (start + at, start + end)) for at, end in _telephones(line, region))
            start += len(line) + 1


def _telephones(line: str, region: str) -> Iterator[tuple[int, int]]:
    for number in phonenumbers.PhoneNumberMatcher(line, region, leniency=phonenumbers.Leniency.STRICT_GROUPING):
        if not number.raw_string.isdigit():
            yield number.start, number.end


def _is_public(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_global
    except ipaddress.AddressValueError:  # a number above 255, or one that starts with 0
        return False
