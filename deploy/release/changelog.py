"""The sections of CHANGELOG.md. `changelog.py <version>` prints the release notes of that version."""

import os
import pathlib
import re
import sys

UNRELEASED = "## [Unreleased]\n"
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)
# A link to another file of the repository. Links within the page and to other sites stay as they are.
RELATIVE_LINK = re.compile(r"\]\((?!https?:|#)([^)\s]+)\)")


def sections(text):
    """The versions, newest first, each with the text of its section."""
    headings = list(HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return {heading["version"]: text[heading.end() : end].strip() for heading, end in zip(headings, ends)}


def notes(text, version, repository=None):
    """The release notes of a version. `repository` is the address at which the files that they link to are found."""
    section = sections(text).get(version)
    if section is None:
        raise LookupError(f"CHANGELOG.md has no section [{version}]")
    if repository:
        section = RELATIVE_LINK.sub(rf"]({repository}/blob/v{version}/\1)", section)
    return section + "\n"


def main():
    text = pathlib.Path(__file__).resolve().parents[2].joinpath("CHANGELOG.md").read_text(encoding="utf-8")
    server, repository = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    sys.stdout.write(notes(text, sys.argv[1], repository and f"{server}/{repository}"))


if __name__ == "__main__":
    try:
        main()
    except (LookupError, IndexError) as error:
        sys.exit(f"changelog.py <version>: {error}")
