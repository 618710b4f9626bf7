"""Generates, compiles and plays the clients.

    run.py prepare [NAME ...]    stubs by the recipes of proto/README.md and the programs, in target/clients/NAME
    run.py play [NAME ...]       plays a chat with each against a server of its own: FRONTDESK_BINARY, or target/debug/frontdesk

Without a name: all. `make test-clients` does both.
"""

import asyncio
import os
import shutil
import sys
import time

import catalog
import recipes
import scene

started = time.monotonic()


def report(line):
    print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)


def chromium():
    names = (os.environ.get("FRONTDESK_TEST_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if not found:
        raise SystemExit("The test in a browser needs Chromium; on Debian: apt-get install chromium. To leave the test out: make test SKIP=browser")
    return found


async def play(names):
    page_port = scene.free_port()
    server = scene.Server(os.environ.get("FRONTDESK_BINARY", str(recipes.ROOT / "target/debug/frontdesk")), f"http://127.0.0.1:{page_port}")
    try:
        team = scene.Team(server)
        for name in names:
            client = catalog.CLIENTS[name]
            in_browser = {"PAGE_PORT": str(page_port), "CHROMIUM": chromium()} if name == "browser" else {}
            printed = await scene.play(name, client, team, scene.Line(server.web if in_browser else server.address), in_browser)
            for line in printed:
                print(f"    {line}")
            report(f"{name}: played the chat, resumed after the cut, read the refusals")
    finally:
        server.stop()


def main():
    step, names = sys.argv[1], sys.argv[2:]
    if unknown := [name for name in names if name not in catalog.CLIENTS]:
        raise SystemExit(f"unknown: {unknown}; known: {[*catalog.CLIENTS]}")
    if step == "prepare":
        recipes.check_guide()
        for name in names or catalog.CLIENTS:
            recipes.prepare(name, catalog.CLIENTS[name], report)
    elif step == "play":
        asyncio.run(play([name for name in names or catalog.CLIENTS if catalog.CLIENTS[name].run]))
    else:
        raise SystemExit(__doc__)


main()
