"""A private PostgreSQL server for tests, made of Debian's binaries: in a folder of its own, on a socket in it.

It commits as a real one does (fsync is on), may be stopped and started as a test likes, and ends with the process that
asked for it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BINARIES = Path("/usr/lib/postgresql")
INSTALL = "apt-get install --no-install-recommends postgresql"
NEEDED = "TESTS_NEED"
USER = "roamnode"
ACCOUNT = "postgres"
"""The server refuses to run as root; Debian's package makes this account for it."""

START_S = 60


def binaries() -> Path | None:
    """The folder of the newest server that is installed."""
    found = [path.parent for path in BINARIES.glob("*/bin/postgres")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def why_not() -> str | None:
    """Why there can be no server here."""
    return None if binaries() else f"there is no PostgreSQL under {BINARIES}; Debian has it: {INSTALL}"


class Server:
    """A server in `folder`. `restart` and `stop` take pg_ctl's modes: smart, fast, immediate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"

    def __repr__(self) -> str:
        return f"<Server in {self.folder}>"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://{USER}@/{database}?host={self.folder}"

    def make(self) -> None:
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, ACCOUNT)
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")

    def start(self) -> None:
        sockets = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c max_connections=200"
        self._control("start", "-l", self.folder / "log", "-o", sockets)

    def stop(self, mode: str = "fast") -> None:
        self._control("stop", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def freeze(self) -> None:
        """Lets no process of it do anything more, while all its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on as if nothing had been."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = (self._data / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *children):
            os.kill(int(pid), number)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints for a statement."""
        return self._run("psql", "-h", self.folder, "-U", USER, "-d", database, "-XAtqc", statement)

    def end_with(self, pid: int) -> None:
        """Has the server stopped, and the folder around its own removed, as soon as this process is no more."""
        command = [sys.executable, "-c", _GUARD, str(pid), str(self.folder), *self._as_account("pg_ctl")]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _control(self, *arguments: object) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-t", START_S, *arguments)

    def _run(self, program: str, *arguments: object) -> str:
        command = [*self._as_account(program), *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open as long as the server
            done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/")
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, f"{program}: {said}"
        return said

    def _as_account(self, program: str) -> Sequence[str]:
        found = binaries()
        assert found is not None, why_not()
        switch = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]
        return [*(switch if os.geteuid() == 0 else []), str(found / program)]


def empty(server: Server, database: str) -> None:
    """Deletes every row of a database, and begins all numbers anew: ten times as fast as making its tables again."""
    server.sql(_EMPTY, database)


_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT IN ('alembic_version', 'marks') LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    PERFORM setval(quote_ident(sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'public';
END $$
"""

# Goes into the background, waits for a process that is not its child, then ends the server.
_GUARD = """
import os, select, shutil, subprocess, sys
if os.fork():
    sys.exit()
os.setsid()
pid, folder, *pg_ctl = sys.argv[1:]
try:
    select.select([os.pidfd_open(int(pid))], [], [])
except ProcessLookupError:
    pass
if os.path.isdir(folder):  # else it has ended already, as it should
    subprocess.run([*pg_ctl, "-D", folder + "/data", "-m", "immediate", "stop"], stdout=subprocess.DEVNULL, cwd="/")
shutil.rmtree(os.path.dirname(folder), ignore_errors=True)
"""


@contextmanager
def own_server() -> Iterator[Server]:
    """A server of one's own, to be stopped and started at will."""
    server = Server(Path(tempfile.mkdtemp(prefix="roamnode-pg-")) / "server")
    server.folder.parent.chmod(0o755)
    server.make()
    server.start()
    server.end_with(os.getpid())
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(server.folder.parent, ignore_errors=True)


def shared_server(folder: Path, pid: int) -> Server:
    """The one server that all processes share which name this folder; the first of them starts it.

    It ends with the process `pid`.
    """
    server = Server(folder / "server")
    folder.mkdir(mode=0o755, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not server.folder.exists():
            server.make()
            server.start()
            server.end_with(pid)
    return server
