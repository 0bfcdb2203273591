"""A PostgreSQL of the tests' own: a cluster in a temporary folder, on loopback, with a password."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

USER = "potstill"


def binaries() -> Path:
    """The folder of initdb and postgres; skips where there is none, but not under CI."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(debian[-1]) if debian else None)
    if found is None:
        missing = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return Path(found).resolve().parent


@dataclass(slots=True)
class PostgresServer:
    """The server's process; start and stop it as often as you like."""

    binaries: Path = field(default_factory=binaries)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pg-")))
    password: str = field(default_factory=lambda: secrets.token_hex(8))
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    def make(self) -> None:
        """Make the cluster and start it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:  # which initdb refuses
            shutil.chown(self.folder, "postgres", "postgres")
        words = self.folder / "password"
        words.write_text(self.password)
        options = ["--auth=scram-sha-256", f"--pwfile={words}", f"--username={USER}", "--encoding=UTF8"]
        words.chmod(0o644)
        made = self._popen("initdb", "-D", str(self.data), "--locale=C", "--no-sync", *options)
        assert made.wait(60) == 0
        self.start()

    @property
    def data(self) -> Path:
        """The cluster's folder."""
        return self.folder / "data"

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Tests kill the server, not the machine: it need not wait for a disk that others use too.
        settings = [
            "fsync=off",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            "shared_buffers=32MB",
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        self.process = self._popen("postgres", "-D", str(self.data), "-p", str(self.port), *options)
        for _ in range(300):
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert self.process.poll() is None, "PostgreSQL did not start"
                time.sleep(0.05)
            else:
                return
        pytest.fail("PostgreSQL does not answer")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT drops all connections, SIGQUIT does not even write what it holds."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(30)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as the cluster's owner; returns its rows."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def database(self) -> str:
        """The address of an empty database, without the password; it empties the one before."""
        for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "ALTER DATABASE postgres RESET ALL"):
            self.execute(statement)
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def _popen(self, program: str, *options: str) -> "subprocess.Popen[bytes]":
        user = "postgres" if os.geteuid() == 0 else None
        return subprocess.Popen(
            [str(self.binaries / program), *options],
            user=user,
            group=user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
