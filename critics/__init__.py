"""Judging what was said: each critic answers with a `Verdict` and never raises over a reply's content."""
