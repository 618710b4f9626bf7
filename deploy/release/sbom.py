"""Writes the bill of materials of the frontdesk binary, in CycloneDX 1.6, to standard output: sbom.py [--target <triple>]

The crates are those that cargo builds for the binary, with the features that it builds them with. `cargo metadata` alone would also name
optional ones that no feature turns on. Crates that only run in the build are in it with the scope "excluded". The C libraries inside some
crates are components of their own, because advisories are about them. The same sources give the same bytes; the time is that of
SOURCE_DATE_EPOCH, or of the last commit.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = "frontdesk"

# The C library in a crate: its licence, the header with its version, the version in it, and how advisories name it.
C_LIBRARIES = {
    "aws-lc-sys": {
        "name": "aws-lc",
        "license": "Apache-2.0 OR ISC",
        "header": "aws-lc/include/openssl/base.h",
        "version": r'define AWSLC_VERSION_NUMBER_STRING "([\d.]+)"',
        "purl": "pkg:github/aws/aws-lc@v{}",
        "cpe": "cpe:2.3:a:amazon:aws-lc:{}:*:*:*:*:*:*:*",
    },
    "libsqlite3-sys": {
        "name": "sqlite",
        "license": "blessing",
        "header": "sqlite3/sqlite3.h",
        "version": r'define SQLITE_VERSION +"([\d.]+)"',
        "purl": "pkg:generic/sqlite@{}",
        "cpe": "cpe:2.3:a:sqlite:sqlite:{}:*:*:*:*:*:*:*",
    },
    "libmimalloc-sys": {
        "name": "mimalloc",
        "license": "MIT",
        "header": "c_src/mimalloc/v3/include/mimalloc.h",
        "version": r"define MI_MALLOC_VERSION (\d)(\d\d)(\d\d)",
        "purl": "pkg:github/microsoft/mimalloc@v{}",
        "cpe": "cpe:2.3:a:microsoft:mimalloc:{}:*:*:*:*:*:*:*",
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="x86_64-unknown-linux-gnu", help="the platform of the binary")
    target = parser.parse_args().target
    json.dump(bill(target), sys.stdout, indent=2)
    print()


def bill(target):
    root, dependencies = tree(target, "normal,build")
    _, linked = tree(target, "normal,no-proc-macro")
    packages = {(package["name"], package["version"]): package for package in metadata(target)["packages"]}
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.loads(read("Cargo.lock"))["package"]}

    components = []
    for crate in sorted(dependencies):
        if crate == root:
            continue
        scope = "required" if crate in linked else "excluded"
        components.append(crate_component(packages[crate], checksums[crate], scope))
        if library := C_LIBRARIES.get(crate[0]):
            library = library_component(library, packages[crate], scope)
            components.append(library)
            dependencies[crate].add(library["bom-ref"])

    version = root[1]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time_of_the_sources().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "application",
                "bom-ref": reference(root),
                "name": BINARY,
                "version": version,
                "description": "Back end for live chat",
                "licenses": [{"expression": packages[root]["license"]}],
                "purl": f"pkg:generic/{BINARY}@{version}",
                "properties": [{"name": "frontdesk:target", "value": target}],
            },
        },
        "components": components,
        "dependencies": [
            {"ref": reference(crate), "dependsOn": sorted(map(reference, needed))} for crate, needed in sorted(dependencies.items())
        ],
    }
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, content).urn}


def tree(target, edges):
    """The crate of the binary, and the crates that each crate depends on, as cargo builds them."""
    lines = cargo("tree", "--locked", "--package", BINARY, "--target", target, "--edges", edges, "--prefix", "depth", "--format", " {p}")
    path, dependencies = [], {}
    for line in lines.splitlines():
        depth, name, version = re.match(r"(\d+) (\S+) v(\S+)", line).groups()
        path[int(depth) :] = [(name, version)]
        dependencies.setdefault(path[-1], set())
        if len(path) > 1:
            dependencies[path[-2]].add(path[-1])
    return path[0], dependencies


def metadata(target):
    return json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def crate_component(package, checksum, scope):
    name, version = package["name"], package["version"]
    component = {
        "type": "library",
        "bom-ref": reference((name, version)),
        "name": name,
        "version": version,
        "scope": scope,
        # Before SPDX expressions, crates wrote a slash for OR.
        "licenses": [{"expression": re.sub(r" ?/ ?", " OR ", package["license"])}],
    }
    if package["description"]:
        component["description"] = " ".join(package["description"].split())
    # Our own crates are in no registry.
    if checksum:
        component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        component["purl"] = f"pkg:cargo/{name}@{version}"
        if package["repository"]:
            component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return component


def library_component(library, package, scope):
    header = pathlib.Path(package["manifest_path"]).parent / library["header"]
    version = ".".join(str(int(part)) if part.isdigit() else part for part in re.search(library["version"], header.read_text()).groups())
    return {
        "type": "library",
        "bom-ref": f"{library['name']}@{version}",
        "name": library["name"],
        "version": version,
        "description": f"C library that {package['name']} compiles and links",
        "scope": scope,
        "licenses": [{"expression": library["license"]}],
        "purl": library["purl"].format(version),
        "cpe": library["cpe"].format(version),
    }


def reference(crate):
    """How the document refers to a crate, or to a library that has a reference already."""
    return crate if isinstance(crate, str) else "{}@{}".format(*crate)


def time_of_the_sources():
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        seconds = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
