"""What is rendered is valid for Kubernetes, complete, and allows what the processes need and nothing else."""

import functools
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import jsonschema
import kubernetes_validate
import referencing
import yaml

import chart

CUSTOM = pathlib.Path(__file__).parent / "schemas"
STRICT = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
HOOKS = ("ServiceAccount", "ConfigMap", "NetworkPolicy", "Job")


@functools.cache
def validator_of(kubernetes, api_version, kind):
    group, _, version = api_version.rpartition("/")
    custom = CUSTOM / f"{group}_{version}_{kind}.json"
    if custom.exists():
        return jsonschema.Draft7Validator(json.loads(custom.read_text()))
    folder = STRICT / f"v{kubernetes}-local-strict"
    name = "-".join(filter(None, [kind.lower(), group.split(".")[0], version]))
    schema = json.loads((folder / f"{name}.json").read_text())
    definitions = referencing.Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
    return jsonschema.Draft202012Validator(schema, registry=definitions @ referencing.Registry())


def validator(kubernetes, each):
    return validator_of(kubernetes, each["apiVersion"], each["kind"])


def every_rendering():
    for path in chart.CASES:
        yield path, chart.rendered(path)


class Manifests(unittest.TestCase):
    def test_helm_3_and_4_find_nothing_to_correct(self):
        for path in chart.CASES:
            for helm in chart.HELMS:
                command = [chart.TOOLS / helm, "lint", "--strict", "--kube-version", chart.KUBERNETES[-1], "--values", path, chart.CHART]
                done = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, f"{path.name}, {helm}: {done.stdout}{done.stderr}")

    def test_helm_3_and_4_render_the_same_for_every_version_of_kubernetes(self):
        for path in chart.CASES:
            expected = sorted(map(json.dumps, chart.rendered(path)))
            for helm in chart.HELMS:
                for kubernetes in chart.KUBERNETES:
                    with self.subTest(case=path.name, helm=helm, kubernetes=kubernetes):
                        self.assertEqual(sorted(map(json.dumps, chart.rendered(path, helm, kubernetes))), expected)

    def test_every_object_is_valid_by_the_strict_schemas(self):
        kinds = set()
        for path, found in every_rendering():
            for each in found:
                kinds.add(each["kind"])
                for kubernetes in chart.KUBERNETES:
                    errors = [f"{error.json_path}: {error.message[:200]}" for error in validator(kubernetes, each).iter_errors(each)]
                    self.assertEqual(errors, [], f"{path.name}, {kubernetes}: {each['kind']} {each['metadata']['name']}")
        self.assertGreaterEqual(len(kinds), 17, kinds)

    def test_alerts_and_dashboards_arrive_as_they_are(self):
        values = chart.read(chart.CHART / "examples/production.yaml") | chart.MONITORING
        with tempfile.TemporaryDirectory() as folder:
            copy = chart.with_monitoring(folder)
            alerts = chart.read(copy / "monitoring/alerts.yaml")
            dashboards = {path.name: path.read_text() for path in copy.glob("monitoring/dashboards/*.json")}
            found = chart.objects(values, chart=copy)
        (rule,) = chart.of_kind(found, "PrometheusRule")
        self.assertEqual(rule["spec"], alerts)
        self.assertEqual(list(validator(chart.KUBERNETES[0], rule).iter_errors(rule)), [])
        maps = [each for each in chart.of_kind(found, "ConfigMap") if each["metadata"]["labels"].get("c") == "d"]
        self.assertTrue(maps)
        self.assertEqual({name: text for each in maps for name, text in each["data"].items()}, dashboards)

    def test_the_schemas_refuse_a_field_that_does_not_exist(self):
        (path,) = [path for path in chart.CASES if path.name == "distributed.yaml"]
        for kind, part in (("Deployment", ("spec", "template", "spec")), ("HTTPRoute", ("spec",)), ("ServiceMonitor", ("spec",))):
            each = json.loads(json.dumps(chart.of_kind(chart.rendered(path), kind)[0]))
            target = each
            for name in part:
                target = target[name]
            target["misspelt"] = 1
            self.assertFalse(validator(chart.KUBERNETES[0], each).is_valid(each), kind)

    def test_names_are_unique_and_short_enough(self):
        for path, found in every_rendering():
            names = [(each["kind"], each["metadata"]["name"]) for each in found]
            self.assertEqual(len(names), len(set(names)), path.name)
            self.assertLessEqual(max(len(name) for _, name in names), 63)
            self.assertEqual({each["metadata"]["namespace"] for each in found}, {"chat"})

    def test_a_long_release_name_is_cut(self):
        found = chart.of_kind(chart.objects(chart.read(chart.CASES[0]) | {"fullnameOverride": "a" * 60}), "Service")
        self.assertTrue(all(len(each["metadata"]["name"]) <= 63 for each in found))

    def test_what_objects_refer_to_is_rendered_or_existing(self):
        for path, found in every_rendering():
            has = {(each["kind"], each["metadata"]["name"]) for each in found}
            with self.subTest(case=path.name):
                for pod in chart.pods(found).values():
                    self.assertIn(("ServiceAccount", pod["spec"]["serviceAccountName"]), has)
                    mounted = {mount["name"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
                    self.assertEqual(mounted, {volume["name"] for volume in pod["spec"]["volumes"]})
                    (settings,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "settings"]
                    self.assertIn(("ConfigMap", settings["configMap"]["name"]), has)
                for service in chart.of_kind(found, "Service"):
                    pod = self.selected(found, service["spec"]["selector"])
                    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
                    self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports)
                for route in chart.of_kind(found, "HTTPRoute", "GRPCRoute"):
                    for rule in route["spec"]["rules"]:
                        for backend in rule["backendRefs"]:
                            self.port_of(found, backend["name"], backend["port"])
                for ingress in chart.of_kind(found, "Ingress"):
                    for backend in (each["backend"]["service"] for each in ingress["spec"]["rules"][0]["http"]["paths"]):
                        self.port_of(found, backend["name"], backend["port"]["name"])
                for policy in chart.of_kind(found, "BackendTLSPolicy"):
                    (target,) = policy["spec"]["targetRefs"]
                    self.port_of(found, target["name"], target["sectionName"])
                for stateful in chart.of_kind(found, "StatefulSet"):
                    self.assertIn(("Service", stateful["spec"]["serviceName"]), has)

    def selected(self, found, selector):
        (pod,) = [pod for pod in chart.pods(found).values() if selector.items() <= pod["metadata"]["labels"].items()]
        return pod

    def port_of(self, found, service, port):
        (found,) = [each for each in chart.of_kind(found, "Service") if each["metadata"]["name"] == service]
        self.assertTrue(any(port in (each["port"], each["name"]) for each in found["spec"]["ports"]), f"{service}: {port}")

    def test_network_policies_allow_the_calls_of_operations_md_and_no_others(self):
        text = (chart.ROOT / "docs/operations.md").read_text()
        table = re.findall(r"^\| `frontdesk serve ([a-z-]+)` \|[^|]*\| ([a-z-]+(?:, [a-z-]+)*) \|", text, re.M)
        documented = {(caller, called) for caller, all_called in table for called in all_called.split(", ")}
        self.assertEqual(len(documented), 8)
        for path, found in every_rendering():
            policies = {each["metadata"]["labels"].get("app.kubernetes.io/component"): each["spec"] for each in chart.of_kind(found, "NetworkPolicy")}
            if not policies:
                continue
            with self.subTest(case=path.name):
                self.assertEqual(policies[None].keys(), {"podSelector", "policyTypes"}, "the policy that denies everything")
                self.assertEqual(set(policies) - {None}, set(chart.pods(found)), "a policy for each process")
                outgoing = {(name, called) for name, policy in policies.items() for called in components(policy.get("egress", []), "to")}
                incoming = {(caller, name) for name, policy in policies.items() for caller in components(policy.get("ingress", []), "from")}
                self.assertEqual(outgoing, incoming)
                self.assertEqual(outgoing, documented if "conversation" in policies else set())

    def test_nothing_comes_in_that_values_do_not_name(self):
        (path,) = [path for path in chart.CASES if path.name == "given-certificates.yaml"]
        for policy in chart.of_kind(chart.rendered(path), "NetworkPolicy"):
            for rule in policy["spec"].get("ingress", []):
                self.assertEqual([each["port"] for each in rule["ports"]], [7700])
                self.assertTrue(all("app.kubernetes.io/component" in each["podSelector"]["matchLabels"] for each in rule["from"]))

    def test_pods_are_restricted_and_have_no_token_and_no_secret_in_their_environment(self):
        for path, found in every_rendering():
            self.assertTrue(all(each["automountServiceAccountToken"] is False for each in chart.of_kind(found, "ServiceAccount")))
            self.assertEqual(chart.of_kind(found, "Secret", "Role", "RoleBinding", "ClusterRole"), [])
            for name, pod in chart.pods(found).items():
                with self.subTest(case=path.name, process=name):
                    (container,) = pod["spec"]["containers"]
                    self.assertIs(pod["spec"]["automountServiceAccountToken"], False)
                    self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
                    self.assertTrue(all("value" in each for each in container["env"]), "only values in the environment")
                    self.assertIn("memory", container["resources"]["requests"])

    def test_pods_have_the_secrets_of_their_own_process_only(self):
        (path,) = [path for path in chart.CASES if path.name == "distributed.yaml"]
        secrets = {}
        for name, pod in chart.pods(chart.rendered(path)).items():
            (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "secrets"]
            secrets[name] = {each["secret"]["name"] for each in volume["projected"]["sources"]}
        self.assertEqual(secrets, {
            "conversation": {"installation", "pg-conversation", "nats-c", "bucket"},
            "assignment": {"installation", "pg-assignment", "nats-a"},
            "bot-session": {"installation", "pg-bot-session", "nats-b"},
            "notification": {"installation", "pg-notification", "nats-n", "mail"},
            "migrate": {"pg-conversation", "pg-assignment", "pg-bot-session", "pg-notification", "nats-o"},
        })

    def test_processes_have_the_files_that_are_for_them(self):
        (path,) = [path for path in chart.CASES if path.name == "production.yaml"]
        has = lambda found: {
            name: {each["name"] for each in pod["spec"]["volumes"] if each["name"].startswith("file-")} for name, pod in chart.pods(found).items()
        }
        for_all = {"file-nats", "file-postgres"}
        others = dict.fromkeys(("conversation", "assignment", "bot-session", "migrate"), for_all)
        self.assertEqual(has(chart.rendered(path)), others | {"notification": for_all | {"file-dkim"}})
        single = chart.read(chart.CHART / "examples/all-in-one.yaml") | {"files": chart.read(path)["files"]}
        self.assertEqual(has(chart.objects(single)), {"all-in-one": for_all | {"file-dkim"}})

    def test_without_names_for_pages_the_gateway_trusts_the_port_of_programs_only(self):
        values = chart.read(chart.CHART / "examples/production.yaml")
        values["web"] = {"certificateSecret": "chat-tls"}
        values["gateway"] |= {"webHostnames": []}
        policies = chart.of_kind(chart.objects(values), "BackendTLSPolicy")
        self.assertEqual({each["spec"]["targetRefs"][0]["sectionName"] for each in policies}, {"grpc"})
        self.assertEqual(len(policies), 4)

    def test_the_grace_period_is_longer_than_the_processes_take(self):
        for path, found in every_rendering():
            values = chart.yaml.safe_load((chart.CHART / "values.yaml").read_text())["shutdown"] | chart.read(path).get("shutdown", {})
            webhooks = chart.read(path).get("settings", {}).get("notification", {}).get("webhooks", {}).get("timeout", "10s")
            for name, pod in chart.pods(found).items():
                if name == "migrate":
                    continue
                with self.subTest(case=path.name, process=name):
                    hook = pod["spec"]["containers"][0].get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})
                    self.assertEqual(hook["preStop"]["sleep"]["seconds"], values["preStopSeconds"])
                    tasks = [values["drainSeconds"] + 1]
                    if name in ("notification", "all-in-one"):
                        tasks += [values["deliveriesSeconds"], int(webhooks.rstrip("s"))]
                    # Readers of key sets, traces, threads: see run() of services/frontdesk.
                    longest = values["preStopSeconds"] + max(tasks) + values["drainSeconds"] + 8 + 1
                    self.assertGreaterEqual(pod["spec"]["terminationGracePeriodSeconds"], longest)

    def test_the_startup_probe_lasts_longer_than_the_wait_for_the_schema_or_its_update(self):
        default = chart.read(chart.CHART / "values.yaml")["migrations"]["activeDeadlineSeconds"]
        for path, found in every_rendering():
            for name, pod in chart.pods(found).items():
                if name != "migrate":
                    wait = int(chart.read(path).get("settings", {}).get("schema_wait", "60s").rstrip("s"))
                    if name == "all-in-one":
                        wait = chart.read(path).get("migrations", {}).get("activeDeadlineSeconds", default)
                    probe = pod["spec"]["containers"][0]["startupProbe"]
                    self.assertGreater(probe["periodSeconds"] * probe["failureThreshold"], wait + 30, f"{path.name}: {name}")

    def test_what_migrate_needs_is_there_before_the_release(self):
        for path, found in every_rendering():
            hooks = [each for each in found if "helm.sh/hook" in each["metadata"].get("annotations", {})]
            self.assertTrue(all(each["metadata"]["labels"]["app.kubernetes.io/component"] == "migrate" for each in hooks))
            weights = sorted(hooks, key=lambda each: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]))
            if hooks:
                self.assertEqual([each["kind"] for each in weights], list(HOOKS))

    def test_a_replica_is_named_by_its_certificate(self):
        (path,) = [path for path in chart.CASES if path.name == "production.yaml"]
        found = chart.rendered(path)
        peers = {name: host for name, host in re.findall(r'^(\w+) = "https://([^:]+):7700"', settings(found), re.M)}
        certificates = {each["metadata"]["labels"].get("app.kubernetes.io/component"): each["spec"] for each in chart.of_kind(found, "Certificate")}
        self.assertEqual(len(peers), 4)
        for name, host in peers.items():
            process = name.replace("_", "-")
            self.assertIn(host, certificates[process]["dnsNames"])
            self.assertEqual(certificates[process]["uris"], [f"spiffe://frontdesk/{process}"])
            self.assertEqual(certificates[process]["usages"], ["digital signature", "server auth", "client auth"])
            self.assertIn(host.split(".")[0], {each["metadata"]["name"] for each in chart.of_kind(found, "Service") if each["spec"].get("clusterIP") == "None"})
        for policy in chart.of_kind(found, "BackendTLSPolicy"):
            process = policy["metadata"]["labels"]["app.kubernetes.io/component"]
            self.assertIn(policy["spec"]["validation"]["hostname"], certificates[process]["dnsNames"])

    def test_routes_publish_the_services_of_paths_md_and_no_others(self):
        public, internal = (chart.ROOT / "docs/paths.md").read_text().split("Never publish these")
        services = set(re.findall(r"`/(frontdesk\.[A-Za-z0-9.]+)/`", public))
        processes = yaml.safe_load((chart.CHART / "files/public-services.yaml").read_text())
        self.assertEqual({each for served in processes.values() for each in served}, services)
        self.assertEqual(sum(map(len, processes.values())), len(services))
        for process, served in processes.items():
            source = (chart.ROOT / "services" / process / "src/lib.rs").read_text()
            for each in served:
                module = re.sub(r"(?<!^)(?=[A-Z])", "_", each.rsplit(".", 1)[1]).lower()
                self.assertIn(f"{module}_server", source, f"{each} is not served by {process}")
        (path,) = [path for path in chart.CASES if path.name == "production.yaml"]
        found = chart.rendered(path)
        (grpc,), (web,) = chart.of_kind(found, "GRPCRoute"), chart.of_kind(found, "HTTPRoute")
        routed = {match["method"]["service"]: rule["backendRefs"][0]["name"] for rule in grpc["spec"]["rules"] for match in rule["matches"]}
        self.assertEqual(routed, {each: f"release-frontdesk-{process}" for process, served in processes.items() for each in served})
        paths = {match["path"]["value"]: rule["backendRefs"][0]["name"] for rule in web["spec"]["rules"] for match in rule["matches"]}
        self.assertEqual(paths, {
            "/frontdesk.conversation.v1.VisitorService": "release-frontdesk-conversation",
            "/attachments": "release-frontdesk-conversation",
            "/transcripts": "release-frontdesk-notification",
        })
        self.assertGreater(len(re.findall(r"`/frontdesk\.", internal)), 5)

    def test_processes_have_the_port_for_browsers_where_routes_lead_to_it(self):
        expected = {
            "production.yaml": {"conversation", "notification"},
            "distributed.yaml": {"conversation", "assignment", "notification"},
            "pages-without-visitors.yaml": {"conversation", "assignment", "notification"},
            "given-certificates.yaml": {"conversation"},
            "without-network-policies.yaml": set(),
        }
        for path in chart.CASES:
            if path.name not in expected:
                continue
            found = chart.rendered(path)
            ports = {name: {each["name"] for each in pod["spec"]["containers"][0].get("ports", [])} for name, pod in chart.pods(found).items()}
            component = "app.kubernetes.io/component"
            services = {each["metadata"]["labels"][component]: each["spec"]["ports"] for each in chart.of_kind(found, "Service") if each["spec"].get("clusterIP") != "None"}
            policies = {each["metadata"]["labels"].get(component): each["spec"].get("ingress", []) for each in chart.of_kind(found, "NetworkPolicy")}
            trusted = {each["metadata"]["labels"][component] for each in chart.of_kind(found, "BackendTLSPolicy") if each["spec"]["targetRefs"][0]["sectionName"] == "web"}
            with self.subTest(case=path.name):
                self.assertEqual({name for name, has in ports.items() if "web" in has}, expected[path.name])
                self.assertEqual({name for name, has in services.items() if any(each["name"] == "web" for each in has)}, expected[path.name])
                if chart.read(path).get("networkPolicy", {}).get("ingress", {}).get("web"):
                    open_to_web = {name for name, rules in policies.items() for rule in rules if rule["ports"][0]["port"] == 7780}
                    self.assertEqual(open_to_web, expected[path.name])
                if chart.read(path).get("gateway", {}).get("caConfigMap"):
                    self.assertEqual(trusted, expected[path.name])

    def test_users_of_nats_are_those_of_deploy_nats(self):
        users = set(re.findall(r"^ +user: ([a-z-]+)$", (chart.ROOT / "deploy/nats/accounts.conf").read_text(), re.M)) - {"reader"}
        defaults = chart.read(chart.CHART / "values.yaml")["busUsers"]
        self.assertEqual({each["username"] for each in defaults.values()}, users)
        for user in defaults.values():
            self.assertEqual(user["inboxPrefix"], f"_INBOX_{user['username']}")
            permissions = (chart.ROOT / f"deploy/nats/permissions/{user['username']}.conf").read_text()
            self.assertIn(f"{user['inboxPrefix']}.", permissions)

    def test_replicas_are_not_set_where_load_decides(self):
        (path,) = [path for path in chart.CASES if path.name == "given-certificates.yaml"]
        found = chart.rendered(path)
        self.assertEqual(len(chart.of_kind(found, "HorizontalPodAutoscaler")), 4)
        self.assertTrue(all("replicas" not in each["spec"] for each in chart.of_kind(found, "Deployment")))

    def test_disruptions_are_limited_where_there_is_more_than_one_replica(self):
        (path,) = [path for path in chart.CASES if path.name == "distributed.yaml"]
        limited = {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in chart.of_kind(chart.rendered(path), "PodDisruptionBudget")}
        self.assertEqual(limited, {"conversation", "assignment", "bot-session"})


def components(rules, side):
    peers = [peer for rule in rules for peer in rule[side]]
    labels = [peer.get("podSelector", {}).get("matchLabels", {}) for peer in peers]
    return [each["app.kubernetes.io/component"] for each in labels if "app.kubernetes.io/component" in each]


def settings(found):
    return next(each["data"]["frontdesk.toml"] for each in chart.of_kind(found, "ConfigMap") if "app.kubernetes.io/component" not in each["metadata"]["labels"])


if __name__ == "__main__":
    unittest.main()
