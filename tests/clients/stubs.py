"""Stubs for programs that generate them when they start."""

import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

# It is deleted when the program ends.
FOLDER = tempfile.TemporaryDirectory()


def generate(protos):
    """Generates stubs of the protos in a folder, and puts them on the path."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    includes = [f"-I{folder}" for folder in (f"{protos}/third_party", protos, well_known)]
    files = [str(path) for folder in ("frontdesk", "third_party/buf") for path in Path(protos, folder).rglob("*.proto")]
    if protoc.main(["protoc", *includes, f"--python_out={FOLDER.name}", f"--grpc_python_out={FOLDER.name}", *files]) != 0:
        raise SystemExit(f"the protos in {protos} do not compile")
    sys.path.insert(0, FOLDER.name)
