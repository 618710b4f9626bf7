"""Renders the chart, for the tests."""

import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/frontdesk"
CASES = sorted((CHART / "examples").glob("*.yaml")) + sorted((ROOT / "tests/helm/cases").glob("*.yaml"))
TOOLS = pathlib.Path(os.environ.get("FRONTDESK_HELM_TOOLS", ROOT / "target/tools/helm"))
HELMS = ("helm3", "helm4")
# The oldest and the newest version of Kubernetes that is supported.
KUBERNETES = ("1.35.0", "1.37.0")


class Refused(Exception):
    """Helm refused the values; the text says why."""


def text(values, helm="helm4", kubernetes=KUBERNETES[-1], chart=CHART):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        command = [TOOLS / helm, "template", "release", chart, "--namespace", "chat", "--kube-version", kubernetes, "--values", file.name]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def objects(*arguments, **named):
    return [each for each in yaml.safe_load_all(text(*arguments, **named)) if each]


def read(path):
    return yaml.safe_load(path.read_text()) or {}


@functools.cache
def rendered(path, helm="helm4", kubernetes=KUBERNETES[-1]):
    return objects(read(path), helm, kubernetes)


# Values for a copy of the chart with alerts and dashboards.
MONITORING = {"monitoring": {"rules": {"enabled": True, "labels": {"a": "b"}}, "dashboards": {"enabled": True, "labels": {"c": "d"}}}}


def with_monitoring(folder):
    """A copy of the chart with what `make chart` puts into it: the alerts and dashboards of deploy/monitoring, or others."""
    copy, source = pathlib.Path(folder) / "frontdesk", ROOT / "deploy/monitoring"
    shutil.copytree(CHART, copy, ignore=shutil.ignore_patterns("monitoring"))
    target = copy / "monitoring"
    target.mkdir()
    if source.exists():
        shutil.copy(source / "alerts.yaml", target)
        shutil.copytree(source / "dashboards", target / "dashboards")
    else:
        (target / "alerts.yaml").write_text("groups: [{name: a, rules: [{alert: A, expr: 'up == 0', annotations: {b: '{{ $value }}'}}]}]\n")
        (target / "dashboards").mkdir()
        (target / "dashboards/overview.json").write_text('{"title": "{{ name }}"}\n')
    return copy


def of_kind(found, *kinds):
    return [each for each in found if each["kind"] in kinds]


def pods(found):
    """The templates of pods, by the name of their process."""
    workloads = of_kind(found, "Deployment", "StatefulSet", "Job")
    templates = [each["spec"]["template"] for each in workloads]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in templates}


def leaves(values, path=()):
    """The values that are no sections: texts, numbers, lists, and maps with names of the operator's choice."""
    if isinstance(values, dict) and values and path not in OPEN:
        for name, value in values.items():
            yield from leaves(value, (*path, name))
    else:
        yield path, values


# Maps with names of the operator's choice, or of Kubernetes.
OPEN = {
    ("labels",), ("settings",), ("pods", "annotations"), ("pods", "labels"), ("pods", "nodeSelector"), ("service", "annotations"),
    ("ingress", "annotations"), ("monitoring", "serviceMonitor", "labels"), ("monitoring", "rules", "labels"),
    ("monitoring", "dashboards", "labels"),
    *((*service, "resources") for service in [("allInOne",), ("migrations",)]),
    *(("services", service, "resources") for service in ["conversation", "assignment", "botSession", "notification"]),
}
