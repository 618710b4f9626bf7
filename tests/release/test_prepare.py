"""`make release-prepare`, in a scratch clone of this repository."""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/release"))

import changelog  # noqa: E402
import prepare  # noqa: E402

LOG = """# Changelog

## [Unreleased]

### Added
- Something ([page](docs/page.md), [above](#changelog), [elsewhere](https://shop.example/a)).
"""
TODAY = datetime.date(2026, 12, 24)


class Prepare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.clone = pathlib.Path(cls.folder.name) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, cls.clone], check=True)
        cls.git("config", "user.name", "Test")
        cls.git("config", "user.email", "test@frontdesk.example")
        chart = cls.clone / prepare.CHART
        chart.parent.mkdir(parents=True, exist_ok=True)
        chart.write_text("apiVersion: v2\nname: frontdesk\nversion: 0.1.0\nappVersion: 0.1.0\n")
        (cls.clone / "CHANGELOG.md").write_text(LOG)
        cls.git("add", "--all")
        cls.git("commit", "--quiet", "--message", "what the tests begin with")
        cls.start = cls.git("rev-parse", "HEAD").strip()

    def setUp(self):
        self.git("reset", "--quiet", "--hard", self.start)

    @classmethod
    def git(cls, *arguments):
        return subprocess.run(["git", *arguments], cwd=cls.clone, check=True, capture_output=True, text=True).stdout

    def changed(self):
        return sorted(self.git("diff", "--name-only").split())

    def refused(self, version, because):
        with self.assertRaisesRegex(prepare.Refused, because):
            prepare.prepare(self.clone, version, TODAY)

    def test_a_version_is_set_everywhere_it_is_written(self):
        prepare.prepare(self.clone, "0.2.0", TODAY)

        self.assertEqual(self.changed(), ["CHANGELOG.md", "Cargo.lock", "Cargo.toml", prepare.CHART])
        command = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
        members = json.loads(subprocess.run(command, cwd=self.clone, check=True, capture_output=True).stdout)["packages"]
        self.assertEqual({member["version"] for member in members}, {"0.2.0"})
        self.assertIn('\nversion: "0.2.0"\nappVersion: "0.2.0"\n', (self.clone / prepare.CHART).read_text())
        self.assertIn("## [Unreleased]\n\n## [0.2.0] - 2026-12-24\n\n### Added", (self.clone / "CHANGELOG.md").read_text())
        self.assertTrue((self.clone / "target/release-notes.md").read_text().startswith("### Added\n- Something"))

    def test_only_our_own_crates_change_in_the_lock_file(self):
        def others():
            packages = tomllib.loads((self.clone / "Cargo.lock").read_text())["package"]
            return [(package["name"], package["version"]) for package in packages if "source" in package]

        before = others()
        prepare.prepare(self.clone, "0.2.0", TODAY)
        self.assertEqual(others(), before)

    def test_the_next_release_follows_the_last(self):
        prepare.prepare(self.clone, "0.2.0-rc.1", TODAY)
        self.git("commit", "--quiet", "--all", "--message", "released")
        self.refused("0.2.0", r"\[Unreleased\] of CHANGELOG.md is empty")
        log = self.clone / "CHANGELOG.md"
        log.write_text(log.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n- A fix.\n"))
        self.git("commit", "--quiet", "--all", "--message", "a fix")
        self.refused("0.2.0-rc.1", "does not follow 0.2.0-rc.1")
        self.refused("0.1.9", "does not follow")
        prepare.prepare(self.clone, "0.2.0", TODAY)
        self.assertEqual(list(changelog.sections(log.read_text())), ["Unreleased", "0.2.0", "0.2.0-rc.1"])

    def test_what_is_refused_changes_nothing(self):
        for version in ("1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+build", "\u0661.2.3", "1.2.3\n"):
            self.refused(version, "is not a version")
        self.git("tag", "v1.2.3")
        self.refused("1.2.3", "the tag v1.2.3 exists")
        self.assertEqual(self.changed(), [])
        (self.clone / "README.md").write_text("changed")
        self.refused("1.2.4", "changes that are not committed")
        self.assertEqual(self.changed(), ["README.md"])

    def test_a_failure_of_cargo_changes_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            cargo = pathlib.Path(folder) / "cargo"
            cargo.write_text("#!/bin/sh\necho changed >Cargo.lock\nexit 101\n")
            cargo.chmod(0o755)
            with unittest.mock.patch.dict(os.environ, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}"):
                with self.assertRaises(subprocess.CalledProcessError) as failed:
                    prepare.prepare(self.clone, "0.2.0", TODAY)
        self.assertEqual(failed.exception.returncode, 101)
        self.assertEqual(self.changed(), [])

    def test_versions_have_the_order_of_semantic_versioning(self):
        ordered = ["0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.10", "1.1.0"]
        self.assertEqual(sorted(reversed(ordered), key=prepare.precedence), ordered)

    def test_links_of_the_notes_lead_to_the_release(self):
        notes = changelog.notes(LOG.replace("Unreleased", "1.0.0"), "1.0.0", "https://forge.example/a/b")
        self.assertIn("(https://forge.example/a/b/blob/v1.0.0/docs/page.md), [above](#changelog), [elsewhere](https://shop", notes)


class Changelog(unittest.TestCase):
    def test_the_next_release_can_be_prepared_from_the_real_changelog(self):
        text = (ROOT / "CHANGELOG.md").read_text()
        top = next(iter(changelog.sections(text)))
        self.assertIn(top, {"Unreleased", tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]})


if __name__ == "__main__":
    unittest.main()
