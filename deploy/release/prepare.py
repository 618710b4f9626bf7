"""Prepares a release in the checkout: prepare.py <version> [--root <checkout>]

Sets the version of the workspace, of Cargo.lock and of the chart, dates the top section of CHANGELOG.md, and writes the release notes to
target/release-notes.md. It changes nothing if a condition does not hold or cargo fails. It neither commits nor publishes.
"""

import argparse
import datetime
import pathlib
import re
import subprocess
import sys

import changelog

# The pattern of https://semver.org without build metadata, which the tag of an image cannot have.
VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?",
    re.ASCII,
)
WORKSPACE_VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
CHART_VERSION = re.compile(r'^(version|appVersion): *"?[^"\n]+"?$', re.MULTILINE)
CHART = "deploy/helm/frontdesk/Chart.yaml"


class Refused(Exception):
    """A condition of a release does not hold."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    try:
        prepare(arguments.root, arguments.version, datetime.datetime.now(datetime.timezone.utc).date())
    except Refused as refused:
        sys.exit(f"Not prepared: {refused}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)} failed:\n{error.stderr}")
    print(
        f"Version {arguments.version} is prepared. The release notes are in target/release-notes.md. Review, then:\n\n"
        f"    git commit --all --message 'release: version {arguments.version}'\n"
        f"    git tag --sign v{arguments.version} --message 'Frontdesk {arguments.version}'\n"
        f"    git push --atomic origin HEAD v{arguments.version}      # the tag starts .github/workflows/release.yaml"
    )


def prepare(root, version, today):
    if not VERSION.fullmatch(version):
        raise Refused(f"{version!r} is not a version: MAJOR.MINOR.PATCH, with -PRE for a pre-release")
    if changes := run(root, "git", "status", "--porcelain", "--untracked-files=no"):
        raise Refused(f"the checkout has changes that are not committed:\n{changes}")
    if run(root, "git", "tag", "--list", f"v{version}"):
        raise Refused(f"the tag v{version} exists")

    cargo, log, chart = root / "Cargo.toml", root / "CHANGELOG.md", root / CHART
    log_text = dated(log.read_text(encoding="utf-8"), version, today)
    cargo_text, replaced = WORKSPACE_VERSION.subn(f'version = "{version}"', cargo.read_text(encoding="utf-8"))
    if replaced != 1:
        raise Refused(f"Cargo.toml has {replaced} lines with the version of the workspace")

    changed = {log: log_text, cargo: cargo_text}
    if chart.exists():
        changed[chart] = CHART_VERSION.sub(rf'\1: "{version}"', chart.read_text(encoding="utf-8"))
    before = {path: path.read_bytes() for path in (*changed, root / "Cargo.lock")}
    try:
        for path, text in changed.items():
            path.write_text(text, encoding="utf-8")
        run(root, "cargo", "update", "--workspace", "--offline")
    except BaseException:
        for path, content in before.items():
            path.write_bytes(content)
        raise
    notes = root / "target/release-notes.md"
    notes.parent.mkdir(exist_ok=True)
    notes.write_text(changelog.notes(log_text, version), encoding="utf-8")


def dated(text, version, today):
    """The changelog with the unreleased changes as the section of the version, below an empty top section."""
    sections = changelog.sections(text)
    top = next(iter(sections), None)
    if top != "Unreleased":
        raise Refused(f"the top section of CHANGELOG.md is [{top}], not [Unreleased]")
    if not sections["Unreleased"]:
        raise Refused("the section [Unreleased] of CHANGELOG.md is empty: what changes for users?")
    previous = list(sections)[1:2]
    if previous and precedence(version) <= precedence(previous[0]):
        raise Refused(f"{version} does not follow {previous[0]}")
    return text.replace(changelog.UNRELEASED, f"{changelog.UNRELEASED}\n## [{version}] - {today}\n", 1)


def precedence(version):
    """The order of Semantic Versioning: a pre-release comes before its release."""
    major, minor, patch, pre = VERSION.fullmatch(version).groups()
    identifiers = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in (pre or "").split(".")]
    return int(major), int(minor), int(patch), pre is None, identifiers


def run(root, *command):
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
