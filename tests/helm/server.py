"""Asks a real API server whether it accepts what each case renders, in a namespace that enforces the restricted Pod Security Standard.

    server.py APISERVER    the program that apiserver/ builds; needs Go for the definitions of custom resources
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import yaml

import chart
import crd_schemas

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata:
  name: chat
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""


def main(program):
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with open(os.path.join(folder, "log"), "w") as log:
            server = subprocess.Popen([program, folder, str(port)], stdout=log, stderr=log)
        try:
            check(folder, server)
        finally:
            server.terminate()
            server.wait(30)


def check(folder, server):
    def kubectl(*arguments, text=None):
        command = [chart.TOOLS / "kubectl", "--kubeconfig", f"{folder}/kubeconfig", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True)

    ends = time.monotonic() + 120
    while kubectl("get", "--raw", "/readyz").returncode:
        if server.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"the API server did not start:\n{pathlib.Path(folder, 'log').read_text()[-3000:]}")
        time.sleep(1)
    for definition in crd_schemas.files():
        created = kubectl("create", "-f", definition)
        if created.returncode:
            raise SystemExit(created.stderr)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kubectl("create", "-f", "-", text=NAMESPACE)

    refused = pod_that_is_refused(kubectl)
    failures = [] if "violates PodSecurity" in refused else [f"a pod that is not restricted was accepted: {refused}"]
    for path in chart.CASES:
        found = chart.rendered(path)
        applied = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(found))
        accepted = len(applied.stdout.splitlines())
        print(f"{path.name}: {accepted} of {len(found)} objects accepted")
        if applied.returncode or "Warning" in applied.stderr or accepted != len(found):
            failures.append(f"{path.name}: {applied.stderr}")
    print(kubectl("version").stdout.splitlines()[-1])
    if failures:
        raise SystemExit("\n".join(failures))


def pod_that_is_refused(kubectl):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "chat"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    return kubectl("apply", "--dry-run=server", "-f", "-", text=yaml.safe_dump(pod)).stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
