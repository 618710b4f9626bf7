"""Every setting that the chart writes exists. With FRONTDESK_BIN the program itself reads them, and serves the probes."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
import unittest
import urllib.error
import urllib.request

import chart
import settings_schema

# Relative to the checkout.
BINARY = os.environ.get("FRONTDESK_BIN") and str(chart.ROOT / os.environ["FRONTDESK_BIN"])
EXAMPLE = settings_schema.example()
# Names of the operator's choice.
OPEN = {("identity", "roles")}


def files(found):
    """The settings file of each process."""
    maps = {each["metadata"]["name"]: each["data"] for each in chart.of_kind(found, "ConfigMap")}
    volumes = {name: {each["name"]: each for each in pod["spec"]["volumes"]} for name, pod in chart.pods(found).items()}
    return {name: maps[each["settings"]["configMap"]["name"]]["frontdesk.toml"] for name, each in volumes.items()}


def environment(pod):
    return {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}


class Names(unittest.TestCase):
    def test_every_setting_of_the_files_exists_with_its_type(self):
        for path in chart.CASES:
            for process, text in files(chart.rendered(path)).items():
                with self.subTest(case=path.name, process=process):
                    self.check(tomllib.loads(text), EXAMPLE, ())

    def check(self, written, known, path):
        if path in OPEN:
            return
        self.assertIs(type(written), type(known), ".".join(path))
        if isinstance(written, dict):
            for name, value in written.items():
                self.assertIn(name, known, ".".join((*path, name)))
                self.check(value, known[name], (*path, name))
        elif isinstance(written, list):
            for value in written:
                self.check(value, known[0] if known else "", path)

    def test_every_variable_is_a_setting(self):
        for path in chart.CASES:
            for process, pod in chart.pods(chart.rendered(path)).items():
                for name in environment(pod):
                    if name != "FRONTDESK_CONFIG":
                        self.assertIsInstance(setting(name), (str, list), f"{path.name}, {process}: {name}")

    def test_what_values_do_not_allow_is_set_by_the_chart_or_has_no_use_in_it(self):
        written = set()
        for path in chart.CASES:
            found = chart.rendered(path)
            for text in files(found).values():
                written.update(names(tomllib.loads(text)))
            for pod in chart.pods(found).values():
                written.update(part.removesuffix("_FILE").removeprefix("FRONTDESK__").lower().replace("__", ".") for part in environment(pod))
        for name in settings_schema.NOT_IN_VALUES - {"development"}:
            self.assertTrue(any(each == name or each.startswith(f"{name}.") for each in written), f"nothing sets {name}")


def setting(variable):
    value = EXAMPLE
    for name in variable.removesuffix("_FILE").removeprefix("FRONTDESK__").lower().split("__"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def names(values, path=""):
    for name, value in values.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from names(value, f"{path}{name}.")


@unittest.skipUnless(BINARY, "set FRONTDESK_BIN to the program to let it read the settings")
class Program(unittest.TestCase):
    def prepared(self, folder, text, pod):
        """The settings file and the environment of a process, with the folders of a pod in this one."""
        for name in ("etc", "var"):
            (folder / name).mkdir()
        moved = lambda text: text.replace("/etc/frontdesk", f"{folder}/etc").replace("/var/lib/frontdesk", f"{folder}/var")
        variables = {name: moved(value) for name, value in environment(pod).items()}
        for name, value in variables.items():
            if name.endswith("_FILE"):
                pathlib.Path(value).parent.mkdir(exist_ok=True)
                pathlib.Path(value).write_text("postgres://a:b@127.0.0.1:1/c\n" if "DATABASES" in name else "x" * 40)
        settings = pathlib.Path(variables["FRONTDESK_CONFIG"])
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(moved(text))
        return {"PATH": os.environ["PATH"]} | variables

    def test_it_reads_the_settings_of_every_process(self):
        for path in chart.CASES:
            found = chart.rendered(path)
            for process, pod in chart.pods(found).items():
                with self.subTest(case=path.name, process=process), tempfile.TemporaryDirectory() as folder:
                    variables = self.prepared(pathlib.Path(folder), files(found)[process], pod)
                    done = subprocess.run([BINARY, "config"], env=variables, cwd=folder, capture_output=True, text=True)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    effective = tomllib.loads(done.stdout)
                    self.assertEqual(effective["data_folder"], f"{folder}/var/data")
                    if process != "migrate":
                        self.assertEqual(effective["ops"]["listen"].rpartition(":")[2], "7790")

    def test_separate_processes_lack_nothing_but_their_certificates(self):
        for path in chart.CASES:
            found = chart.rendered(path)
            for process, pod in chart.pods(found).items():
                if process in ("migrate", "all-in-one"):
                    continue
                with self.subTest(case=path.name, process=process), tempfile.TemporaryDirectory() as folder:
                    variables = self.prepared(pathlib.Path(folder), files(found)[process], pod)
                    arguments = pod["spec"]["containers"][0]["args"]
                    done = subprocess.run([BINARY, *arguments], env=variables, cwd=folder, capture_output=True, text=True, timeout=60)
                    self.assertRegex(done.stderr, r"(tls|web)\.certificate_path", "the first thing that is missing")

    def test_it_serves_the_probes_and_ends_within_the_grace_period(self):
        (path,) = [path for path in chart.CASES if path.name == "development.yaml"]
        found = chart.rendered(path)
        pod = chart.pods(found)["all-in-one"]
        container = pod["spec"]["containers"][0]
        with tempfile.TemporaryDirectory() as folder:
            ops, listen, web = (free_port() for _ in range(3))
            variables = self.prepared(pathlib.Path(folder), files(found)["all-in-one"], pod)
            for name, port in (("OPS__LISTEN", ops), ("LISTEN", listen), ("WEB__LISTEN", web)):
                variables[f"FRONTDESK__{name}"] = f"127.0.0.1:{port}"
            process = subprocess.Popen([BINARY, *container["args"]], env=variables, cwd=folder, stdout=subprocess.DEVNULL)
            try:
                for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                    self.assertEqual(container[name]["httpGet"]["port"], "ops")
                    address = f"http://127.0.0.1:{ops}{container[name]['httpGet']['path']}"
                    self.assertEqual(status_within(60, address), 200, name)
                process.send_signal(signal.SIGTERM)
                grace = pod["spec"]["terminationGracePeriodSeconds"] - container["lifecycle"]["preStop"]["sleep"]["seconds"]
                self.assertEqual(process.wait(grace), 0)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def status_within(seconds, address):
    ends = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2) as response:
                return response.status
        except (OSError, urllib.error.URLError) as error:
            if time.monotonic() > ends:
                raise AssertionError(f"{address}: {error}") from error
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main()
