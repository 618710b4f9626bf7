"""The compose files are valid, and what they say agrees with the image, the settings and each other."""

import re
import tomllib
import unittest

import yaml

from compose import FOLDER, load, runs_frontdesk
from container import DATA, ROOT

DEVELOPMENT, PRODUCTION = load("compose.yaml"), load("production/compose.yaml")


def frontdesk(model):
    return {name: service for name, service in model["services"].items() if runs_frontdesk(service)}


class Both(unittest.TestCase):
    def test_images_of_others_have_an_exact_version(self):
        for model in (DEVELOPMENT, PRODUCTION):
            for name, service in model["services"].items():
                if not runs_frontdesk(service):
                    self.assertRegex(service["image"], r":v?\d+\.\d+", name)

    def test_both_have_the_same_servers(self):
        for name in ("postgres", "nats"):
            self.assertEqual(DEVELOPMENT["services"][name]["image"], PRODUCTION["services"][name]["image"])

    def test_every_variable_is_a_setting(self):
        settings = set(variables(tomllib.loads(uncommented((ROOT / "deploy/frontdesk.example.toml").read_text()))))
        self.assertIn("FRONTDESK__WEB__PUBLIC_URL", settings)
        for model in (DEVELOPMENT, PRODUCTION):
            for name, service in frontdesk(model).items():
                names = {re.sub("_FILE$", "", variable) for variable in service["environment"] if variable.startswith("FRONTDESK__")}
                self.assertEqual(names - settings, set(), name)

    def test_every_service_is_there_and_twice(self):
        services = ["assignment", "bot-session", "conversation", "notification"]
        replicas = [service["command"][1] for service in frontdesk(DEVELOPMENT).values() if (service.get("command") or [""])[0] == "serve"]
        self.assertEqual(sorted(replicas), sorted(services * 2))
        self.assertEqual([PRODUCTION["services"][name]["deploy"]["replicas"] for name in services], [2] * 4)

    def test_nothing_of_development_is_open_to_other_machines(self):
        for name, service in DEVELOPMENT["services"].items():
            self.assertEqual({port.get("host_ip") for port in service.get("ports", [])} - {"127.0.0.1"}, set(), name)


class Production(unittest.TestCase):
    def test_processes_have_no_privileges(self):
        for name, service in frontdesk(PRODUCTION).items():
            self.assertTrue(service["read_only"], name)
            self.assertEqual((service["cap_drop"], service["security_opt"]), (["ALL"], ["no-new-privileges:true"]), name)
            self.assertEqual({"user", "privileged", "network_mode", "ports", "cap_add"} & set(service), set(), name)

    def test_only_the_data_folder_can_be_written(self):
        for name, service in frontdesk(PRODUCTION).items():
            written = {volume["target"] for volume in service["volumes"] if not volume.get("read_only")}
            self.assertLessEqual(written, {DATA}, name)

    def test_no_secret_is_in_the_file_and_each_is_used(self):
        used = set()
        for name, service in PRODUCTION["services"].items():
            mounted = {secret["target"] for secret in service.get("secrets", [])}
            files = {value for value in (service.get("environment") or {}).values() if str(value).startswith("/run/secrets/")}
            if name != "postgres":
                self.assertEqual(files, mounted, name)
            used |= {secret["source"] for secret in service.get("secrets", [])}
        self.assertEqual(used, set(PRODUCTION["secrets"]))
        text = (FOLDER / "production/compose.yaml").read_text() + (FOLDER / "production/frontdesk.toml").read_text()
        self.assertEqual(re.findall(r"(?im)(?:password|secret|url)\"?(?::|\s*=)\s*[\"']?(?:postgres://|p[0-9a-f]{20})\S*", text), [])

    def test_each_service_has_users_of_its_own(self):
        for setting in ("FRONTDESK__BUS__USERNAME", "FRONTDESK__BUS__PASSWORD_FILE", "FRONTDESK__BUS__INBOX_PREFIX"):
            values = [service["environment"][setting] for service in frontdesk(PRODUCTION).values()]
            self.assertEqual(len(set(values)), 5, setting)
        for service in frontdesk(PRODUCTION).values():
            environment = service["environment"]
            self.assertEqual(environment["FRONTDESK__BUS__INBOX_PREFIX"], "_INBOX_" + environment["FRONTDESK__BUS__USERNAME"])
        for name in ("conversation", "assignment", "bot-session", "notification"):
            environment = PRODUCTION["services"][name]["environment"]
            databases = [variable for variable in environment if variable.startswith("FRONTDESK__DATABASES__")]
            self.assertEqual(databases, [f"FRONTDESK__DATABASES__{name.replace('-', '_').upper()}__URL_FILE"])

    def test_the_servers_have_no_way_out(self):
        self.assertTrue(PRODUCTION["networks"]["internal"]["internal"])
        for name in ("postgres", "nats"):
            service = PRODUCTION["services"][name]
            self.assertEqual((list(service["networks"]), service.get("ports")), (["internal"], None), name)

    def test_a_stop_is_waited_for_as_long_as_it_takes(self):
        for name, service in frontdesk(PRODUCTION).items():
            if name != "migrate":
                self.assertEqual(service["stop_grace_period"], "25s", name)

    def test_the_file_is_yaml_without_repeated_keys(self):
        for path in ("compose.yaml", "production/compose.yaml"):
            self.assertNotEqual(yaml.load((FOLDER / path).read_text(), Loader=UniqueKeys), None)


class UniqueKeys(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key is there twice"
        return super().construct_mapping(node, deep)


def uncommented(text):
    """The example with the settings that are comments because they have no default."""
    return re.sub(r"(?m)^# ((?:listen|allowed_origins|public_url|development_key|max_connections) = )", r"\1", text)


def variables(value, prefix="FRONTDESK"):
    """The environment variable of each setting."""
    if not isinstance(value, dict):
        return [prefix]
    return [name for key, inner in value.items() for name in variables(inner, f"{prefix}__{key.upper()}")]


if __name__ == "__main__":
    unittest.main()
