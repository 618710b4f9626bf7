"""Writes schemas/ again: strict JSON schemas of the custom resources that the chart uses, from the definitions in the Go modules of their
projects (Apache License 2.0). Needs Go. Versions are below; descriptions are left out."""

import json
import pathlib
import subprocess

import yaml

SCHEMAS = pathlib.Path(__file__).parent / "schemas"
DEFINITIONS = {
    "sigs.k8s.io/gateway-api@v1.6.3": [
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
        "config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
    ],
    "github.com/cert-manager/cert-manager@v1.21.2": [
        "deploy/crds/cert-manager.io_certificates.yaml",
        "deploy/crds/cert-manager.io_issuers.yaml",
    ],
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": [
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ],
}


def strict(schema):
    """The schema without descriptions, with no field but those that it names."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    result = {}
    for key, value in schema.items():
        if key == "description" and isinstance(value, str) or key == "format" or key.startswith("x-kubernetes-"):
            continue
        if key == "properties":
            result[key] = {name: strict(part) for name, part in value.items()}
        else:
            result[key] = strict(value)
    if "properties" in result and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    return result


def files():
    """The files of the definitions, in the modules that Go downloads."""
    for module, definitions in DEFINITIONS.items():
        found = json.loads(subprocess.run(["go", "mod", "download", "-json", module], check=True, capture_output=True).stdout)
        yield from (pathlib.Path(found["Dir"]) / path for path in definitions)


def main():
    for path in files():
        definition = yaml.safe_load(path.read_text())["spec"]
        (served,) = [each for each in definition["versions"] if each["name"] == "v1"]
        schema = {"$comment": f"{path.name}, by crd_schemas.py"} | strict(served["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        target = SCHEMAS / f"{definition['group']}_v1_{definition['names']['kind']}.json"
        target.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    main()
