"""Prepares a client: stubs by the recipe of proto/README.md in a clean folder, then the program.

The fenced blocks of a section are its recipe: a block with a file name is that file, a block of `sh` is run.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLIENTS = ROOT / "target/clients"
TOOLS = ROOT / "target/tools"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shell(commands, folder, **environment):
    """Runs commands with the tools of `make`, and ends with what they print if one fails."""
    path = os.pathsep.join([str(TOOLS / "python/bin"), str(TOOLS / "node_modules/.bin"), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-euc", commands], cwd=folder, env={**os.environ, **environment, "PATH": path}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nfailed in {folder}:\n{commands}")


def check_guide():
    """The helpers that the API guide shows are those that the programs use."""
    shown = [(file, content) for _, file, content in BLOCK.findall((ROOT / "docs/api-guide.md").read_text()) if file]
    for file, content in shown:
        if content not in (HERE / file).read_text():
            raise SystemExit(f"docs/api-guide.md shows {file} otherwise than tests/clients/{file} is; copy the helper into the guide")
    missing = {f"{kind}.{end}" for kind in ("refusal", "watch") for end in ("py", "ts", "go", "java")} - {Path(file).name.lower() for file, _ in shown}
    if missing:
        raise SystemExit(f"docs/api-guide.md does not show {sorted(missing)}")


def recipe(section):
    """The files and the commands of a section of proto/README.md."""
    found = re.search(rf"^#+ {re.escape(section)}\n(.*?)(?=^##|\Z)", (ROOT / "proto/README.md").read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        raise SystemExit(f"proto/README.md has no section {section!r}")
    return BLOCK.findall(found.group(1))


def prepare(name, client, report):
    """Makes target/clients/<name>."""
    folder = CLIENTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "target/public-protos", folder / "protos")
    for file in client.locked:
        shutil.copy(HERE / client.folder / file, folder)
    for section in client.sections:
        for language, file, content in recipe(section):
            if file:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_text(content)
            elif language == "sh":
                shell(content, folder)
    shell(client.stubs, folder)
    report(f"{name}: the recipe works in a clean folder, and the stubs compile")
    shutil.copytree(HERE / client.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shell(client.program, folder)
    report(f"{name}: the program compiles")
    if client.beside:
        shutil.copytree(HERE / "foreign", folder / "foreign")
        shell(client.beside, folder)
        report(f"{name}: works beside protovalidate's own package and beside options with the same numbers")
