"""Writes what is generated from the contract for people, gateways and gRPC libraries.

    reference BUF ROOT [--check]

In the folder ROOT: target/reference (the API reference, with the examples of docs/examples), and the stored files docs/errors.md,
docs/paths.md and proto/service_config.json. With --check it leaves the stored files, and fails where one of them is outdated.
"""

import json
import os.path
import re
import shutil
import sys
from pathlib import Path

import errors
import tables
from contract import Contract
from pages import Pages

REFERENCE = "target/reference"


def examples(root, contract):
    """The recorded calls, by the full names of their methods."""
    methods = {method.full_name for service in contract.public_services for method in service.methods}
    found = {}
    for path in sorted((root / "docs/examples").glob("*/*.json")):
        name = f"{path.parent.name}.{path.stem}"
        if name not in methods:
            sys.exit(f"{path.relative_to(root)} is of no method of the contract: delete it")
        found[name] = json.loads(path.read_text())
    return found


def dead_links(root, pages):
    """The links of the pages to a file or an anchor that does not exist."""
    anchors = {name: set(re.findall(r'<[^>]*\bid="([^"]+)"', page)) for name, page in pages.items()}
    for name, page in pages.items():
        for link in re.findall(r'<a [^>]*\bhref="([^"]+)"', page):
            file, _, anchor = link.partition("#")
            file = file or name
            exists = not anchor or anchor in anchors[file] if file in pages else (root / os.path.normpath(f"{REFERENCE}/{file}")).exists()
            if not exists:
                yield f"{name}: {link}"


def write_reference(root, pages):
    folder = root / REFERENCE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, page in pages.items():
        (folder / name).write_text(page)
    shutil.copy(Path(__file__).parent / "style.css", folder)


def main():
    buf, root = sys.argv[1], Path(sys.argv[2])
    contract = Contract(buf, root / "proto")
    reasons, incomplete = errors.reasons(contract)
    if incomplete:
        lines = "\n".join(incomplete)
        sys.exit(f"These comments need a code, a meaning, and a sentence that begins with a word of ADVICE in proto/tools/reference/errors.py:\n{lines}")
    pages = Pages(contract, reasons, examples(root, contract)).all()
    if dead := list(dead_links(root, pages)):
        lines = "\n".join(dead)
        sys.exit(f"These links of the API reference lead nowhere:\n{lines}")
    write_reference(root, pages)
    stored = {
        "docs/errors.md": errors.page(reasons),
        "docs/paths.md": tables.paths(contract),
        "proto/service_config.json": tables.service_config(contract),
    }
    outdated = [name for name, text in stored.items() if not (root / name).exists() or (root / name).read_text() != text]
    if "--check" in sys.argv:
        if outdated:
            sys.exit(f"outdated: {', '.join(outdated)}. Write them again with: make api-docs")
        return
    for name in outdated:
        (root / name).write_text(stored[name])
    print(f"Open {REFERENCE}/index.html. Changed: {', '.join(outdated) or 'no stored file'}")


main()
