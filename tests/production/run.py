"""Runs docs/production.md in an empty folder: writes its files, runs its commands in their order, and compares what they print.

    run.py [--keep]    --keep leaves the folder

The programs come from FRONTDESK_BINARY (or target/release/frontdesk), FRONTDESK_TEST_POSTGRES_BIN (or the PostgreSQL that is installed: the one of
`make servers` has no TLS), FRONTDESK_TEST_NATS_SERVER (or the one of `make servers`), and this Python.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/clients"))
from recipes import BLOCK
from servers import FETCHED, NOBODY, readable

PAGE = ROOT / "docs/production.md"
# Maximum time of one block, in seconds.
TIMEOUT = 600
# Number of PR_SET_CHILD_SUBREAPER in prctl(2): processes that a block leaves behind become children of this one.
SUBREAPER = 36


def steps(text):
    """The files, the commands and what they print, in their order: (line, kind, name, content)."""
    for found in BLOCK.finditer(text):
        language, name, content = found.groups()
        kind = "file" if name else {"sh": "commands", "text": "output"}.get(language)
        if not kind:
            raise SystemExit(f"{PAGE.name}: a block of {language} has no file name")
        yield text.count("\n", 0, found.start()) + 1, kind, name, content


def trimmed(text):
    """Lines without spaces at their ends, and without empty ones at the end."""
    return "".join(line.rstrip() + "\n" for line in text.rstrip().splitlines())


def pattern(shown):
    """What the page shows as an expression: … is any part of a line, and alone on its line any lines."""
    lines = (r"(?:.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*") for line in shown.splitlines(keepends=True))
    return re.compile("".join(lines))


def find_postgres():
    """The folder of PostgreSQL's programs: the newest of the distribution, or that on the path."""
    if named := os.environ.get("FRONTDESK_TEST_POSTGRES_BIN"):
        return Path(named)
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)) + on_path
    if not installed:
        raise SystemExit("the walk-through needs PostgreSQL with TLS; on Debian: apt-get install postgresql")
    return installed[-1]


def link_programs(folder):
    """A folder with the programs of the page. PostgreSQL refuses to run as root: the user nobody runs it then."""
    programs = folder / "programs"
    programs.mkdir()
    postgres = find_postgres()
    targets = {
        "frontdesk": os.environ.get("FRONTDESK_BINARY", ROOT / "target/release/frontdesk"),
        "nats-server": os.environ.get("FRONTDESK_TEST_NATS_SERVER", FETCHED / "bin/nats-server"),
        "psql": postgres / "psql",
    }
    if NOBODY:
        postgres = readable(postgres, folder, {"cwd": "/", **NOBODY})
        drop = f"setpriv --reuid={NOBODY['user']} --regid={NOBODY['group']} --clear-groups"
        for name in ("initdb", "pg_ctl"):
            program = programs / name
            program.write_text(f'#!/bin/sh\nchown -R {NOBODY["user"]}:{NOBODY["group"]} postgres\nexec {drop} "{postgres / name}" "$@"\n')
            program.chmod(0o755)
    else:
        targets |= {name: postgres / name for name in ("initdb", "pg_ctl")}
    for name, target in targets.items():
        if not (found := shutil.which(target)):
            raise SystemExit(f"{target} is not there: `make release servers` makes it")
        (programs / name).symlink_to(Path(found).resolve())
    return programs


def children():
    """The children of this process. The parent is the second field after the name in proc_pid_stat(5)."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = int(file.parent.name), file.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has ended.
        if int(rest[1]) == os.getpid():
            found.append(pid)
    return found


class Walk:
    """The folder in which the page is followed, and the processes that its commands leave behind."""

    def __init__(self, folder):
        self.folder = folder / "installation"
        self.folder.mkdir()
        path = os.pathsep.join([str(link_programs(folder)), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {"HOME": str(folder), "LANG": "C.UTF-8", "CHECKOUT": str(ROOT), "PATH": path}

    def write(self, name, content):
        file = self.folder / name
        file.write_text(content)
        if content.startswith("#!"):
            file.chmod(0o755)

    def run(self, commands):
        """Runs a block as a shell of its own; returns its exit status, what it printed and its errors."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            shell = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", commands], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            )
            deadline = time.monotonic() + TIMEOUT
            while shell.poll() is None and time.monotonic() < deadline:
                # Processes that a block before started and that have ended, so that nothing waits for them.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended and ended.si_pid != shell.pid:
                    os.waitpid(ended.si_pid, 0)
                time.sleep(0.05)
            output.seek(0)
            errors.seek(0)
            return shell.poll(), output.read(), errors.read()

    def stop(self):
        if (self.folder / "postgres/data/postmaster.pid").exists():
            self.run("pg_ctl stop --mode immediate --pgdata postgres/data")
        while left := children():
            for child in left:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def logs(folder):
    """The last lines of each log."""
    parts = []
    for log in sorted([*folder.glob("log/*"), *folder.glob("postgres/log")]):
        lines = log.read_text(errors="replace").splitlines()[-8:]
        parts.append("\n".join([f"--- {log.relative_to(folder)}", *lines]))
    return "\n".join(parts)


def follow(walk):
    printed = ""
    began = time.monotonic()
    for line, kind, name, content in steps(PAGE.read_text()):
        where = f"{PAGE.relative_to(ROOT)}:{line}"
        if kind == "file":
            walk.write(name, content)
        elif kind == "commands":
            status, printed, errors = walk.run(content)
            print(f"{time.monotonic() - began:6.1f} s  {where}", flush=True)
            if status != 0:
                raise SystemExit(f"{where}: exit status {status}\n{printed}{errors}\n{logs(walk.folder)}")
        elif not pattern(content).fullmatch(trimmed(printed)):
            raise SystemExit(f"{where}: the commands printed\n{printed}\nand the page shows\n{content}")


def main():
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-production-"))
    folder.chmod(0o755)
    walk = Walk(folder)
    try:
        follow(walk)
    finally:
        walk.stop()
        if "--keep" in sys.argv:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


main()
