"""Writes what is generated from the contract for people, gateways and gRPC libraries.

    reference BUF ROOT [--check]

In the folder ROOT: docs/reference (the API reference, with the examples of docs/examples), docs/errors.md, docs/paths.md and
proto/service_config.json. With --check it writes nothing and fails where one of them is outdated.
"""

import json
import sys
from pathlib import Path

import errors
import tables
from contract import Contract
from pages import Pages

REFERENCE = "docs/reference/"


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


def generated(buf, root):
    """The content of each file."""
    contract = Contract(buf, root / "proto")
    reasons, incomplete = errors.reasons(contract)
    if incomplete:
        lines = "\n".join(incomplete)
        sys.exit(f"These comments need a code, a meaning, and a sentence that begins with a word of ADVICE in proto/tools/reference/errors.py:\n{lines}")
    pages = Pages(contract, reasons, examples(root, contract)).all()
    pages["style.css"] = (Path(__file__).parent / "style.css").read_text()
    return {REFERENCE + name: page for name, page in pages.items()} | {
        "docs/errors.md": errors.page(reasons),
        "docs/paths.md": tables.paths(contract),
        "proto/service_config.json": tables.service_config(contract),
    }


def main():
    buf, root = sys.argv[1], Path(sys.argv[2])
    files = generated(buf, root)
    written = {path.relative_to(root).as_posix() for path in (root / REFERENCE).glob("*")}
    gone = written - files.keys()
    outdated = [name for name, text in files.items() if not (root / name).exists() or (root / name).read_text() != text]
    if "--check" in sys.argv:
        if outdated or gone:
            sys.exit(f"outdated: {', '.join(sorted({*outdated, *gone}))}. Write them again with: make api-docs")
        return
    (root / REFERENCE).mkdir(parents=True, exist_ok=True)
    for name in gone:
        (root / name).unlink()
    for name in outdated:
        (root / name).write_text(files[name])
    print(f"{len(files)} files, of which {len(outdated)} changed; open {root / REFERENCE}/index.html")


main()
