"""Writes the protos that other projects generate stubs from: the contract without Frontdesk's own options and internal packages.

    public_protos.py BUF PROTO OUT

An option has a number, and protobuf knows each number once in a program. Frontdesk's own options have numbers of the range
50000 to 99999, which is for use inside one organisation, and a program in which two files define the same number does not
start. Callers do not need these options, so the files for callers are without them. The program ends with an error if the
result declares anything else than the contract does.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

OPTIONS = r"\(frontdesk\.(?:auth\.v1\.access|text\.v1\.text|validation\.v1\.(?:pattern|number)_description)\) ="
OPTION_FILES = ("frontdesk/auth/v1/access.proto", "frontdesk/text/v1/text.proto", "frontdesk/validation/v1/validation.proto")

# The sources are formatted by buf, so an option of a method is a statement of its own lines, and an option of a field is one
# element of a list.
METHOD_OPTION = re.compile(rf"^ *option {OPTIONS} (?:\{{.*?^ *\}}|\{{[^\n]*\}});\n", re.MULTILINE | re.DOTALL)
FIELD_OPTION = re.compile(rf'{OPTIONS} (?:\w+|"(?:[^"\\\n]|\\.)*")(,\s*)?')
CLEANED = [
    (re.compile(r",(\s*)\];"), r"\1];"),
    (re.compile(r" \[\s*\];"), ";"),
    (re.compile(r"^( *rpc [^;{]*?) \{\s*\}", re.MULTILINE), r"\1;"),
    (re.compile(rf'^import "(?:{"|".join(map(re.escape, OPTION_FILES))})";\n', re.MULTILINE), ""),
]


def is_public(name):
    return name.startswith("frontdesk/") and name not in OPTION_FILES and "internal" not in name.split("/")


def without_options(source):
    source = FIELD_OPTION.sub("", METHOD_OPTION.sub("", source))
    for pattern, replacement in CLEANED:
        source = pattern.sub(replacement, source)
    return source


def write(proto, out):
    if out.exists() and (foreign := {path.name for path in out.iterdir()} - {"buf.yaml", "frontdesk", "service_config.json", "third_party"}):
        sys.exit(f"{out} is replaced as a whole, but contains more: {', '.join(sorted(foreign))}")
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(proto / "third_party", out / "third_party")
    shutil.copy(proto / "buf.yaml", out)
    shutil.copy(proto / "service_config.json", out)
    for path in sorted((proto / "frontdesk").rglob("*.proto")):
        name = path.relative_to(proto).as_posix()
        if is_public(name):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(without_options(path.read_text()))


def remove_options(descriptor):
    """Removes Frontdesk's own options from a descriptor and all within it."""
    for field, value in descriptor.ListFields():
        if field.is_extension and field.file.name in OPTION_FILES:
            descriptor.ClearExtension(field)
        elif field.message_type:
            for inner in [value] if isinstance(value, Message) else value:
                remove_options(inner)
            if field.name == "options" and not value.ListFields():
                descriptor.ClearField("options")


def described(file):
    """A file's declarations without the options, and its comments with the place that each belongs to."""
    remove_options(file)
    kept = [name for name in file.dependency if name not in OPTION_FILES]
    file.dependency[:] = kept
    comments = [
        (tuple(place.path), place.leading_comments, place.trailing_comments, *place.leading_detached_comments)
        for place in file.source_code_info.location
        if place.leading_comments or place.trailing_comments or place.leading_detached_comments
    ]
    file.ClearField("source_code_info")
    return file.SerializeToString(deterministic=True), comments


def declarations(buf, folder):
    """What the public files of a folder declare, by name of file."""
    command = [buf, "build", folder, "--as-file-descriptor-set", "--output", "-"]
    encoded = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(encoded).file:
        pool.Add(file)
    # Unlike `descriptor_pb2`, the types of this pool know the options.
    files = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")).FromString(encoded)
    return {file.name: described(file) for file in files.file if is_public(file.name)}


def main():
    buf, proto, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    write(proto, out)
    subprocess.run([buf, "format", "--write", "--path", out / "frontdesk", out], check=True)
    if subprocess.run([buf, "lint", out]).returncode != 0:
        sys.exit(f"buf lint found the problems above in {out}")
    wanted, written = declarations(buf, proto), declarations(buf, out)
    if different := sorted(name for name in wanted.keys() | written.keys() if wanted.get(name) != written.get(name)):
        sys.exit(f"these files differ from the contract without options: {', '.join(different)}")
    print(f"{len(list(out.rglob('*.proto')))} files in {out}")


main()
