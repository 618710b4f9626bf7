"""The part `settings` of the chart's schema, derived from deploy/frontdesk.example.toml, which has every setting of Frontdesk.

    settings_schema.py --write    writes it to values.schema.json again
"""

import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/frontdesk"
EXAMPLE = ROOT / "deploy/frontdesk.example.toml"

# Settings that the chart sets itself, by the value that decides, or whose value is in a Secret.
NOT_IN_VALUES = {
    "listen", "data_folder", "drain", "notification.drain", "ops",
    "web.listen", "web.certificate_path", "web.key_path",
    "identity.development_key", "identity.secret", "identity.previous_secret",
    "tls.certificate_path", "tls.key_path", "tls.ca_path", "tls.terminated_outside",
    "databases.conversation.url", "databases.assignment.url", "databases.bot_session.url", "databases.notification.url",
    "bus.username", "bus.password", "bus.credentials_path", "bus.inbox_prefix",
    "peers", "attachments.folder", "attachments.s3.secret_access_key", "notification.smtp.password",
    "development",
}
# Durations that the chart computes with: whole seconds.
SECONDS = {"schema_wait", "notification.webhooks.timeout"}
# Sections with names of the operator's choice.
OPEN = {"identity.roles"}


def example():
    """Every setting with its value, also those that the example has as comments."""
    lines = []
    for line in EXAMPLE.read_text().splitlines():
        setting = re.match(r"# ((?:[a-z_0-9]+ = |\[).*)", line)
        lines.append(setting.group(1) if setting else line)
    return tomllib.loads("\n".join(lines))


def schema(value, path=""):
    if path in OPEN:
        return {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
    if isinstance(value, dict):
        names = {name: f"{path}.{name}".lstrip(".") for name in value}
        properties = {name: schema(value[name], names[name]) for name in value if names[name] not in NOT_IN_VALUES}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    if isinstance(value, list):
        return {"type": "array", "items": schema(value[0], path) if value else {"type": "string"}}
    if path in SECONDS:
        return {"type": "string", "pattern": "^[1-9][0-9]*s$"}
    return {"type": {bool: "boolean", int: "integer", str: "string"}[type(value)]}


def main():
    path = CHART / "values.schema.json"
    whole = json.loads(path.read_text())
    whole["properties"]["settings"] = {"$comment": "Written by tests/helm/settings_schema.py."} | schema(example())
    path.write_text(json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        raise SystemExit(__doc__)
    main()
