"""The review page under attack, over the wire: nothing is executed, nothing is let in, nothing is lost."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from critics.library import Library
from critics.review_guard import LARGEST_BODY
from tests.critics.review_world import HOSTILE, Served, field, make_run, served

PAGE = "/strategies/refund-before-identity"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("review"))


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[Served]:
    with served(run) as running:
        yield running


@pytest.fixture
def ann(server: Served) -> Iterator[httpx.Client]:
    with server.client("ann") as client:
        yield client


@pytest.fixture
def library(run: Path) -> Iterator[Library]:
    with Library(run / "strategies" / "library.sqlite", must_exist=True) as opened:
        yield opened


def csrf(client: httpx.Client) -> str:
    return field(client.get(PAGE).text, "csrf")


def test_script_in_model_text_is_text(ann: httpx.Client) -> None:
    for path in ("/", "/strategies/hostile", "/log", "/?q=%3Cscript%3E&tag=%3Cscript%3E"):
        page = ann.get(path)
        assert page.status_code == 200
        tags = set(re.findall(r"<(script|img)\b([^>]*)>", page.text))
        assert all("/static/" in attributes for _, attributes in tags), tags
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"\son\w+\s*=|\sstyle\s*=|<style|javascript:", page.text.replace("onerror=&#34;", ""))
    assert "{{ 7*7 }}" in ann.get("/strategies/hostile").text, "model text is no template"
    assert HOSTILE not in ann.get("/strategies/hostile").text


def test_nobody_enters_without_a_link(server: Served) -> None:
    with httpx.Client(base_url=server.address) as stranger:
        for path in ("/", PAGE, "/log", "/log.jsonl"):
            assert stranger.get(path).status_code == 401
        assert stranger.post(f"{PAGE}/approve", data={"version": "1"}).status_code == 401
        stranger.cookies.set("potstill_deadbeef", "forged")
        assert stranger.get("/").status_code == 401
        assert stranger.get("/docs").status_code == stranger.get("/openapi.json").status_code == 404


def test_forged_tokens_are_refused_and_then_not_even_looked_at(run: Path) -> None:
    with served(run, reviewers=("eve",)) as running, httpx.Client(base_url=running.address) as stranger:
        tries = [stranger.get(f"/enter?token=forged-{n}").status_code for n in range(12)]
        assert tries == [401] * 10 + [429] * 2
        assert stranger.get(running.links["eve"]).status_code == 429
        assert not stranger.cookies


def test_the_cookie_is_for_this_page_only(server: Served) -> None:
    cookie = httpx.get(server.links["ann"]).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


@pytest.mark.parametrize("action", ["edit", "approve", "reject", "retire", "roll_back", "comment", "diff"])
def test_a_form_of_another_site_does_nothing(ann: httpx.Client, library: Library, action: str) -> None:
    head = library.head()
    form = {"version": "1", "to": "1", "why": "x", "scenario": "x", "strategy": "x", "features": ""}
    token = csrf(ann)
    elsewhere = {"Origin": "http://evil.example"}
    assert ann.post(f"{PAGE}/{action}", data=form).status_code == 403
    assert ann.post(f"{PAGE}/{action}", data={**form, "csrf": "forged"}).status_code == 403
    assert ann.post(f"{PAGE}/{action}", data={**form, "csrf": token}, headers=elsewhere).status_code == 403
    assert ann.post(f"{PAGE}/{action}", data={**form, "csrf": token}, headers={"Origin": "null"}).status_code == 403
    assert library.head() == head


def test_the_token_of_another_session_does_nothing(server: Served, ann: httpx.Client) -> None:
    with server.client("bob") as bob:
        assert bob.post(f"{PAGE}/comment", data={"csrf": csrf(ann), "why": "as ann"}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "[::1]"])
def test_another_name_for_this_machine_is_not_answered(ann: httpx.Client, host: str) -> None:
    assert ann.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/strategies/..%2f..%2fetc%2fpasswd",
        "/strategies/%2e%2e",
        "/strategies/a%00b",
        "/strategies/'%20OR%201=1--",
        "/strategies/" + "a" * 65,
        "/strategies/none",
        "/static/..%2f..%2freview_server.py",
        "/static/%2e%2e/base.html.jinja",
        "/?status=everything",
    ],
)
def test_a_path_in_an_id_leads_nowhere(ann: httpx.Client, path: str) -> None:
    answer = ann.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("version", ["", "x", "-1", "1e3", "²", "9" * 5000])
def test_a_version_that_is_none_is_refused(ann: httpx.Client, version: str) -> None:
    assert ann.post(f"{PAGE}/approve", data={"csrf": csrf(ann), "version": version}).status_code == 400


def test_a_comment_of_10_mb_is_refused(ann: httpx.Client, library: Library) -> None:
    head, token = library.head(), csrf(ann)
    body = f"csrf={token}&why=".encode() + b"x" * 10_000_000

    def in_chunks() -> Iterator[bytes]:
        yield body[:LARGEST_BODY]
        yield body[LARGEST_BODY : 2 * LARGEST_BODY]

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ann.post(f"{PAGE}/comment", content=body, headers=form).status_code == 413
    assert ann.post(f"{PAGE}/comment", content=in_chunks(), headers=form).status_code == 413, "no length told"
    assert ann.post(f"{PAGE}/comment", data={"csrf": token} | {f"f{n}": "" for n in range(99)}).status_code == 400
    assert library.head() == head


def test_two_editors_at_once_lose_nothing(server: Served, ann: httpx.Client, library: Library) -> None:
    page = "/strategies/exchange-all-at-once"
    with server.client("bob") as bob:
        version = field(ann.get(page).text, "version")

        def save(client: httpx.Client, text: str) -> httpx.Response:
            form = {"csrf": csrf(client), "version": version, "scenario": "s", "strategy": text}
            return client.post(f"{page}/edit", data=form)

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(save, (ann, bob), ("Words of Ann", "Words of Bob")))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "Words of Ann" in refused.text
    assert "Words of Bob" in refused.text
    again = {"csrf": csrf(ann), "version": version}
    assert ann.post(f"{page}/approve", data=again).status_code == 409, "approving what was not seen"
    assert library.get("exchange-all-at-once").status == "draft"
    assert library.verify() == []


def test_kill_9_while_saving_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    acknowledged: list[str] = []
    with served(run) as running, running.client() as client:
        token = csrf(client)

        def comment(number: int) -> None:
            try:
                answer = client.post(f"{PAGE}/comment", data={"csrf": token, "why": f"remark {number}"})
            except httpx.TransportError:
                return
            if answer.status_code == 303:
                acknowledged.append(f"remark {number}")
            if len(acknowledged) == 12:
                running.process.kill()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(comment, range(60)))
    assert 12 <= len(acknowledged) < 60
    with served(run) as running, running.client() as client:
        page = client.get(PAGE).text
        assert all(f">{remark}<" in page for remark in acknowledged)
        assert "The chain of all" in client.get("/log").text


def test_it_listens_on_loopback_only(server: Served) -> None:
    port = int(server.address.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) == 0
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    places = {row[1].split(":")[0] for row in listening if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    assert places == {"0100007F"}
