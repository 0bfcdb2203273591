"""Ledgers in both databases."""

from pathlib import Path

import pytest

from teachers.ledgers import Address


@pytest.fixture(params=["sqlite", "postgresql"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where a new ledger may lie."""
    if request.param == "sqlite":
        return tmp_path / "l.sqlite"
    url: str = request.getfixturevalue("postgres").database()
    return url
