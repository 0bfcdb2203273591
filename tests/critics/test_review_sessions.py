"""Links and sessions: only hashes are kept, and few wrong tokens are looked at."""

import pytest

from critics.review_sessions import Reviewers, TooManyTries


def test_a_token_is_told_once_and_nothing_secret_is_kept() -> None:
    reviewers = Reviewers()
    token = reviewers.invite(["ann"])["ann"]
    entered = reviewers.enter(token)
    assert entered is not None
    cookie, session = entered
    assert session.reviewer == "ann"
    assert reviewers.session(cookie) is session
    assert reviewers.session("") is None
    kept = repr(vars(reviewers))
    assert token not in kept
    assert cookie not in kept
    other = reviewers.enter(token)
    assert other is not None
    assert other[1].csrf != session.csrf


def test_wrong_tokens_are_limited_for_a_while() -> None:
    now = [0.0]
    reviewers = Reviewers(tries=3, window_s=60.0, clock=lambda: now[0])
    token = reviewers.invite(["ann"])["ann"]
    for _ in range(3):
        assert reviewers.enter("guess") is None
        now[0] += 1
    with pytest.raises(TooManyTries):
        reviewers.enter(token)
    now[0] = 60.5
    assert reviewers.enter(token) is not None
