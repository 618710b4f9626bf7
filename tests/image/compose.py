"""A compose file as Docker Compose understands it, loaded by the library that Compose is made with."""

import json
import os
import subprocess

from container import ROOT

FOLDER = ROOT / "deploy/compose"


def load(name):
    """The model: anchors merged, variables replaced by their defaults, paths absolute."""
    path = FOLDER / name
    environment = {"PATH": os.environ["PATH"]}
    command = [os.environ["COMPOSE_GO"], "-format", "json", path.name]
    result = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, f"{path}: {result.stderr}"
    return json.loads(result.stdout)


def runs_frontdesk(service):
    return service["image"].startswith("frontdesk:")
