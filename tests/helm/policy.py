"""Checks what each case renders against the restricted Pod Security Standard, by the evaluator of Kubernetes, and with kube-score.

    policy.py FOLDER    the folder with the programs podsecurity and kube-score
"""

import pathlib
import subprocess
import sys

import yaml

import chart

# What kube-score demands and the chart does otherwise, with the reason.
EXCEPTIONS = {
    # Frontdesk's images have a version or a digest, which do not change; `Always` would keep pods from starting while a registry is down.
    "--ignore-test=container-image-pull-policy",
    # A limit of the CPU stops a process in the middle of calls while its node is idle. Requests are set.
    "--ignore-container-cpu-limit",
    # Replicas are spread over nodes and zones by topologySpreadConstraints.
    "--ignore-test=deployment-has-host-podantiaffinity",
}
# Cases for which a demand is not met on purpose.
EXCEPTIONS_OF = {
    # It has one replica of notification.
    "distributed.yaml": ["--ignore-test=deployment-replicas"],
    # The case is about that.
    "without-network-policies.yaml": ["--ignore-test=pod-networkpolicy"],
}


def main(folder):
    programs = pathlib.Path(folder)
    failed = False
    for path in chart.CASES:
        text = yaml.safe_dump_all(chart.rendered(path))
        for kubernetes in chart.KUBERNETES:
            version = "v" + ".".join(kubernetes.split(".")[:2])
            exceptions = [*EXCEPTIONS, *EXCEPTIONS_OF.get(path.name, [])]
            score = [programs / "kube-score", "score", f"--kubernetes-version={version}", "--exit-one-on-warning", "--output-format=ci", *exceptions, "-"]
            failed |= report(path, "kube-score", score, text)
        failed |= report(path, "podsecurity", [programs / "podsecurity"], text)
    raise SystemExit(int(failed))


def report(path, name, command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]
    print(f"{path.name}: {name}: {'accepted' if done.returncode == 0 else 'refused'}", *(lines if done.returncode or name == "podsecurity" else []), sep="\n  ")
    return done.returncode != 0


if __name__ == "__main__":
    main(*sys.argv[1:])
