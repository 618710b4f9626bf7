"""Every value of the chart is in the schema and in the README, changes what is rendered, and is set by a case."""

import concurrent.futures
import copy
import json
import re
import tempfile
import tomllib
import unittest

import chart
import settings_schema

VALUES = chart.read(chart.CHART / "values.yaml")
SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())


class Values(unittest.TestCase):
    def test_the_schema_has_no_open_section_but_maps_of_texts(self):
        def check(schema, path):
            if schema.get("type") == "object":
                extra = schema.get("additionalProperties")
                texts = ({"type": "string"}, {"type": "array", "items": {"type": "string"}})
                self.assertTrue(extra is False or extra in texts, f"{path}: additionalProperties is {extra}")
            for name, value in schema.items():
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, dict):
                        check(each, f"{path}/{name}")

        check(SCHEMA, "")

    def test_values_and_schema_have_the_same_names(self):
        def compare(values, schema, path):
            if "$ref" in schema:
                schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
            if path in chart.OPEN or not isinstance(values, dict):
                return
            self.assertEqual(sorted(values), sorted(schema["properties"]), ".".join(path))
            for name in values:
                compare(values[name], schema["properties"][name], (*path, name))

        compare(VALUES, SCHEMA, ())

    def test_the_schema_of_settings_is_that_of_the_example(self):
        written = {name: value for name, value in SCHEMA["properties"]["settings"].items() if name != "$comment"}
        derived = settings_schema.schema(settings_schema.example())
        self.assertEqual(written, derived, "write it again: make chart-schema")

    def test_the_readme_has_every_value_with_its_default(self):
        rows = re.findall(r"^\| `([A-Za-z0-9_.*]+)` \| (.*?) \| .+ \|$", (chart.CHART / "README.md").read_text(), re.M)
        leaves = {".".join(path): value for path, value in chart.leaves(VALUES)}
        matched = set()
        for name, default in rows:
            pattern = re.compile(re.escape(name).replace(r"\*", "[A-Za-z_]+"))
            found = [leaf for leaf in leaves if pattern.fullmatch(leaf)]
            self.assertTrue(found, f"README.md has {name}, which is no value")
            self.assertFalse(matched.intersection(found), f"README.md has {name} twice")
            matched.update(found)
            if re.fullmatch("`[^`]*`", default):
                for leaf in found:
                    self.assertEqual(leaves[leaf], chart.yaml.safe_load(default.strip("`")), f"README.md: the default of {leaf}")
        self.assertEqual(sorted(set(leaves) - matched), [], "values that README.md lacks")

    def test_every_value_is_set_by_a_case_and_changes_what_is_rendered(self):
        with tempfile.TemporaryDirectory() as folder:
            with_files = chart.with_monitoring(folder)
            cases = [(chart.read(path), chart.CHART) for path in chart.CASES]
            cases.append((chart.read(chart.CHART / "examples/production.yaml") | chart.MONITORING, with_files))
            unproven = {path for path, _ in chart.leaves(VALUES)} - {("settings",)}
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for values, folder in cases:
                    whole = chart.text(values, chart=folder)
                    tried = [path for path in unproven if is_changed(values, path)]
                    outcomes = pool.map(lambda path: outcome(without(values, path), folder), tried)
                    unproven -= {path for path, text in zip(tried, outcomes) if text != whole}
        self.assertEqual(sorted(map(".".join, unproven)), [], "no case sets these values, or they change nothing")

    def test_every_setting_arrives_with_its_value(self):
        values = chart.read(chart.CHART / "examples/all-in-one.yaml")
        values["settings"] = allowed_settings(changed(settings_schema.example()))
        del values["settings"]["bus"], values["settings"]["databases"]
        values["settings"]["identity"]["roles"]['support.lead of "a"'] = ["text"]
        self.check_settings(values, ())
        values = chart.read(chart.CHART / "examples/production.yaml")
        values["settings"] = allowed_settings(changed(settings_schema.example()))
        self.check_settings(values, ("bus", "databases"))

    def check_settings(self, values, migrated):
        for helm in chart.HELMS:
            maps = chart.of_kind(chart.objects(values, helm), "ConfigMap")
            files = {each["metadata"]["name"]: each["data"] for each in maps}
            read = tomllib.loads(files["release-frontdesk"]["frontdesk.toml"])
            for path, value in flat(values["settings"]):
                found = at(read, path)
                self.assertEqual((type(found), found), (type(value), value), f"{helm}: settings.{'.'.join(path)}")
            for section in migrated:
                read = tomllib.loads(files["release-frontdesk-migrate"]["frontdesk.toml"])
                self.assertEqual(read[section], values["settings"][section])


def is_changed(values, path):
    found = at(values, path)
    return found is not None and found != at(VALUES, path)


def outcome(values, folder):
    try:
        return chart.text(values, chart=folder)
    except chart.Refused as refused:
        return str(refused)


def without(values, path):
    values = copy.deepcopy(values)
    del at(values, path[:-1])[path[-1]]
    return values


def at(values, path):
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def flat(values, path=()):
    if isinstance(values, dict):
        for name, value in values.items():
            yield from flat(value, (*path, name))
    else:
        yield path, values


def changed(value, path=""):
    """Other values of the same types."""
    if isinstance(value, dict):
        return {name: changed(part, f"{path}.{name}".lstrip(".")) for name, part in value.items()}
    if isinstance(value, list):
        return [changed(part, path) for part in value] or ["text"]
    if path in settings_schema.SECONDS:
        return "77s"
    return {bool: lambda: not value, int: lambda: value + 1, str: lambda: f'{value} "<&>\\ \u00e0'}[type(value)]()


def allowed_settings(settings, path=""):
    names = {name: f"{path}.{name}".lstrip(".") for name in settings}
    kept = {name: settings[name] for name in settings if names[name] not in settings_schema.NOT_IN_VALUES}
    return {name: allowed_settings(value, names[name]) if isinstance(value, dict) else value for name, value in kept.items()}


if __name__ == "__main__":
    unittest.main()
