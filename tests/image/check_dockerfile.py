"""The Dockerfile, what its build is given, and the script that builds it with the digests of the bases."""

import fnmatch
import os
import pathlib
import subprocess
import tempfile
import unittest

from container import ARGUMENTS, DATA, IMAGE, ROOT, STAGES, USER

# Answers what build.sh asks the registry, and writes what it would build with.
DOCKER = """#!/bin/sh
if [ "$2" = imagetools ]; then echo sha256:$(printf %s "$6" | sha256sum | cut -d ' ' -f 1); exit; fi
printf '%s\\n' "$@"
"""


class Dockerfile(unittest.TestCase):
    def test_the_image_runs_as_an_unprivileged_user_by_number(self):
        self.assertEqual(USER, ["10001", "10001"])

    def test_the_image_has_a_folder_that_its_user_owns(self):
        self.assertEqual(IMAGE.pairs("ENV")["FRONTDESK__DATA_FOLDER"], DATA)
        self.assertIn(f"--from=build --chown={':'.join(USER)} --chmod=0700 /out/data {DATA}", IMAGE.all("COPY"))

    def test_nothing_runs_in_the_image_while_it_is_built(self):
        self.assertEqual(IMAGE.all("RUN") + STAGES["files"].all("RUN"), [])

    def test_labels_name_version_sources_licence_and_base(self):
        labels = {name.removeprefix("org.opencontainers.image.") for name in IMAGE.pairs("LABEL")}
        self.assertLessEqual({"title", "version", "revision", "created", "source", "licenses", "base.name"}, labels)

    def test_bases_are_arguments_with_a_tag(self):
        self.assertEqual({stage.base for stage in STAGES.values()}, {"${BUILD_BASE}", "${RUNTIME_BASE}", "scratch"})
        self.assertRegex(ARGUMENTS["BUILD_BASE"], r":\d+\.\d+\.\d+-")
        self.assertRegex(ARGUMENTS["RUNTIME_BASE"], r"-debian\d+:nonroot$")

    def test_the_compiler_is_new_enough(self):
        version = ARGUMENTS["BUILD_BASE"].partition(":")[2].split("-")[0]
        minimum = next(line for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("rust-version")).split('"')[1]
        self.assertGreaterEqual(list(map(int, version.split("."))), list(map(int, minimum.split("."))))

    def test_the_build_is_given_its_sources_and_no_data(self):
        lines = (ROOT / "deploy/container/Dockerfile.dockerignore").read_text().splitlines()
        rules = [line for line in lines if line and not line.startswith("#")]
        self.assertEqual(rules[0], "*")
        given = {rule[1:] for rule in rules if rule.startswith("!")}
        self.assertEqual([path for path in given if not (ROOT / path).exists()], [])
        self.assertLessEqual({"Cargo.toml", "Cargo.lock", "LICENSE", "proto", "services", "tests", "deploy/release/sbom.py"}, given)
        self.assertEqual([path for path in (".git", "data", "target") if any(fnmatch.fnmatch(path, rule) for rule in given)], [])


class Build(unittest.TestCase):
    def build(self, *arguments, **environment):
        with tempfile.TemporaryDirectory() as folder:
            docker = pathlib.Path(folder) / "docker"
            docker.write_text(DOCKER)
            docker.chmod(0o755)
            environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **environment}
            command = [ROOT / "deploy/container/build.sh", *arguments]
            return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()

    def test_bases_are_built_from_by_their_digests(self):
        given = self.build("--tag", "frontdesk:local")
        for name, base in ARGUMENTS.items():
            self.assertRegex("\n".join(given), rf"(?m)^{name}={base}@sha256:[0-9a-f]{{64}}$")
        self.assertEqual(given[-3:], ["--tag", "frontdesk:local", "."])

    def test_every_argument_of_the_build_is_one_of_the_dockerfile(self):
        given = self.build()
        names = {given[at + 1].partition("=")[0] for at, word in enumerate(given) if word == "--build-arg"}
        declared = set(ARGUMENTS) | set(STAGES["build"].pairs("ARG")) | set(IMAGE.pairs("ARG"))
        self.assertEqual(names, declared)
        self.assertNotIn("", [word.partition("=")[2] for word in given if word.startswith(("VERSION=", "REVISION=", "CREATED="))])

    def test_without_a_network_the_tags_are_used(self):
        self.assertIn(f"RUNTIME_BASE={ARGUMENTS['RUNTIME_BASE']}", self.build(OFFLINE="1"))


if __name__ == "__main__":
    unittest.main()
