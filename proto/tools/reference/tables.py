"""The files for gateways and gRPC libraries: docs/paths.md and proto/service_config.json."""

import json

AUDIENCES = ("widget", "visitor", "agent", "admin", "bot")

PATHS = """\
# Paths

Generated from the contract: `make api-docs` writes it again. For gateways, which route by the path of a call, `/<service>/<method>`.
[deploy/gateway](../deploy/gateway/README.md) has configurations of Envoy and NGINX. A route only decides what is reachable: Frontdesk itself
checks the token of each call, its kind and its permission.

| path | callers | listener | streams, which stay open for 36 minutes |
|---|---|---|---|
"""
FILES = """\
| `/attachments/` | holders of an upload address or a link | `web.listen`, HTTP | `PUT` of up to `attachments.max_bytes`, and `GET` |
| `/transcripts/` | holders of a link in a mail | `web.listen`, HTTP | `GET` |
| `/grpc.health.v1.Health/` | everyone | `listen` | `Watch`; for probes of your network |
| `/grpc.reflection.v1.ServerReflection/` | everyone | `listen` | for developers |
"""
CLOSED = """\

Never publish these: Frontdesk's own services call each other directly, and a development server alone serves `frontdesk.dev.v1`.

| path | callers |
|---|---|
"""


def paths(contract):
    """docs/paths.md: a row for each service, with those that pages in browsers call first."""
    rows, closed = [], []
    for service in sorted(contract.services.values(), key=lambda service: service.full_name):
        if not service.package.startswith("frontdesk."):
            continue
        callers = [caller for caller in (*AUDIENCES, "service") if any(caller in method.callers for method in service.methods)]
        path = f"`/{service.full_name}/`"
        if ".internal." in service.package or service.is_development:
            closed.append(f"| {path} | {', '.join(callers)} |\n")
            continue
        of_widget = "visitor" in callers
        listener = "`web.listen` for pages, `listen` for programs" if of_widget else "`listen`; `web.listen` where `web.services` names it"
        streams = ", ".join(f"`{method.name}`" for method in service.methods if method.is_stream)
        outside = ", ".join(caller for caller in callers if caller in AUDIENCES)
        rows.append((not of_widget, f"| {path} | {outside} | {listener} | {streams} |\n"))
    rows = [row for _, row in sorted(rows)]
    return PATHS + "".join(rows) + FILES + CLOSED + "".join(closed)


def service_config(contract):
    """How gRPC libraries retry and limit calls, in the form of https://github.com/grpc/grpc/blob/master/doc/service_config.md."""
    services = [service for service in contract.public_services if not service.is_development]
    methods = [method for service in services for method in service.methods]
    # A call that takes effect again may not be repeated without its caller.
    if once := [method.full_name for method in methods if method.retry == "no"]:
        raise SystemExit(f"service_config.json repeats every call, which these methods do not allow: {once}")
    retry = {
        "maxAttempts": 4, "initialBackoff": "0.5s", "maxBackoff": "10s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"],
    }
    streams = [{"service": method.service.full_name, "method": method.name} for method in methods if method.is_stream]
    config = {
        "methodConfig": [
            {"name": [{"service": service.full_name} for service in services], "timeout": "30s", "retryPolicy": retry},
            # The entry of a method replaces that of its service: a stream has no timeout.
            {"name": streams, "retryPolicy": retry},
        ],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
    return json.dumps(config, indent=2) + "\n"
