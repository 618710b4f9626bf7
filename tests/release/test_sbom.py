"""The bill of materials of the binary is valid, complete, and names one TLS provider (row S9)."""

import json
import subprocess
import sys
import tomllib
import unittest

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply_chain import ROOT, TARGETS, metadata

sys.path.insert(0, str(ROOT / "deploy/release"))
import sbom  # noqa: E402

# Libraries that could serve TLS, of which the binary has the first.
TLS_PROVIDERS = ["aws-lc-rs", "ring", "openssl", "openssl-sys", "native-tls", "boring", "mbedtls", "rustls-graviola", "rustls-rustcrypto"]

# Crates that declare a native library, so that there is one version of them, and have none.
LINKS_NOTHING = {"aws-lc-rs", "prettyplease"}


def bill(target):
    command = [sys.executable, "deploy/release/sbom.py", "--target", target]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


class BillOfMaterials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.texts = {target: bill(target) for target in TARGETS}
        cls.bills = {target: json.loads(text) for target, text in cls.texts.items()}

    def test_s9_the_binary_has_one_tls_provider(self):
        for target, bill in self.bills.items():
            names = {component["name"] for component in bill["components"]}
            self.assertEqual([name for name in TLS_PROVIDERS if name in names], TLS_PROVIDERS[:1], target)

    def test_it_is_valid_cyclonedx_1_6(self):
        validator = JsonStrictValidator(SchemaVersion.V1_6)
        for target, text in self.texts.items():
            self.assertIsNone(validator.validate_str(text), target)
        broken = json.loads(text) | {"unknown": 1}
        self.assertIsNotNone(validator.validate_str(json.dumps(broken)))

    def test_every_component_has_a_licence_and_where_it_comes_from(self):
        ours = {package["name"] for package in lock() if "source" not in package}
        for bill in self.bills.values():
            for component in bill["components"]:
                self.assertTrue(component["licenses"][0]["expression"], component["name"])
                self.assertTrue("hashes" in component or "cpe" in component or component["name"] in ours, component["name"])

    def test_it_has_the_versions_of_the_lock_file(self):
        locked = {(package["name"], package["version"], package.get("checksum")) for package in lock()}
        for bill in self.bills.values():
            crates = [component for component in bill["components"] if "cpe" not in component]
            self.assertGreater(len(crates), 300)
            for crate in crates:
                checksum = crate.get("hashes", [{"content": None}])[0]["content"]
                self.assertIn((crate["name"], crate["version"], checksum), locked)

    def test_c_libraries_are_components(self):
        for bill in self.bills.values():
            libraries = {component["name"]: component["scope"] for component in bill["components"] if "cpe" in component}
            self.assertEqual(libraries, {"aws-lc": "required", "sqlite": "required", "mimalloc": "required"})

    def test_every_crate_with_a_c_library_is_known(self):
        described = {(package["name"], package["version"]): package["links"] for package in metadata()["packages"]}
        for bill in self.bills.values():
            crates = [component for component in bill["components"] if "cpe" not in component]
            native = {crate["name"] for crate in crates if described[crate["name"], crate["version"]]}
            self.assertEqual(native - LINKS_NOTHING, set(sbom.C_LIBRARIES), "name the library and its version in deploy/release/sbom.py")

    def test_what_runs_in_the_build_only_is_marked(self):
        for bill in self.bills.values():
            scopes = {component["name"]: component["scope"] for component in bill["components"]}
            self.assertEqual((scopes["prost-build"], scopes["cc"], scopes["serde_derive"]), ("excluded",) * 3)
            self.assertEqual((scopes["tonic"], scopes["rustls"], scopes["frontdesk-server"]), ("required",) * 3)

    def test_every_reference_leads_to_a_component(self):
        for bill in self.bills.values():
            references = [component["bom-ref"] for component in [bill["metadata"]["component"], *bill["components"]]]
            self.assertEqual(len(references), len(set(references)))
            needed = {reference for entry in bill["dependencies"] for reference in entry["dependsOn"]}
            self.assertEqual(needed - set(references), set())

    def test_the_same_sources_give_the_same_bytes(self):
        self.assertEqual(bill(TARGETS[0]), self.texts[TARGETS[0]])


def lock():
    return tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]


if __name__ == "__main__":
    unittest.main()
