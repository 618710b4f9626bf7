"""Generates, compiles and plays the clients.

    run.py prepare [NAME ...]    stubs by the recipes of proto/README.md and the programs, in target/clients/NAME
    run.py play [NAME ...]       plays the chats with each against a server of its own: FRONTDESK_BINARY, or target/debug/frontdesk
    run.py play distributed [NAME ...]    the same on PostgreSQL and NATS

Without a name: all. `make test-clients` does all three.
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


async def play(name, mode):
    client, page_port = catalog.CLIENTS[name], scene.free_port()
    binary = os.environ.get("FRONTDESK_BINARY", str(recipes.ROOT / "target/debug/frontdesk"))
    server = scene.Server(binary, f"http://127.0.0.1:{page_port}", mode)
    try:
        team = scene.Team(server)
        in_browser = {"PAGE_PORT": str(page_port), "WEB_ADDRESS": server.web, "CHROMIUM": chromium()} if client.in_browser else {}
        scenes = [
            (client.first, team.visit_environment(f"{name}-first"), scene.HELLO),
            (client.run, team.visit_environment(name), "done"),
            (client.play, team.play_environment(), "done"),
        ]
        for command, environment, end in scenes:
            if not command:
                continue
            line = scene.Line(server.web if in_browser else server.address)
            for printed in await scene.play(name, command, team, line, {**environment, **in_browser}, end, client.seconds):
                print(f"    {printed}")
        report(f"{name}, {mode}: played the chat, and resumed after the cut")
    finally:
        server.stop()


def main():
    step, mode, names = sys.argv[1], catalog.MODES[0], sys.argv[2:]
    if names and names[0] in catalog.MODES:
        mode, *names = names
    if unknown := [name for name in names if name not in catalog.CLIENTS]:
        raise SystemExit(f"unknown: {unknown}; known: {[*catalog.CLIENTS]}")
    if step == "prepare":
        recipes.check_guide()
        for name in names or catalog.CLIENTS:
            recipes.prepare(name, catalog.CLIENTS[name], report)
    elif step == "play":
        played = [name for name in names or catalog.CLIENTS if mode in catalog.CLIENTS[name].modes]
        if not played:
            raise SystemExit(f"not played in {mode} mode: {names}")
        for name in played:
            asyncio.run(play(name, mode))
    else:
        raise SystemExit(__doc__)


main()
