"""Runs the binary as a container engine would run the image, without one: as uid 10001 without capabilities and as process 1, on a read-only
root that has only what the base image has, with the folders of volumes in it, and on a network of its own.

For the Linux programs unshare and setpriv (util-linux), ip and mount, as root. A test file calls `enter_namespaces` first.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import dockerfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/tools"
BINARY = pathlib.Path(os.environ.get("FRONTDESK_BIN", ROOT / "target/debug/frontdesk")).resolve()
ARGUMENTS, STAGES = dockerfile.parse((ROOT / "deploy/container/Dockerfile").read_text())
IMAGE = STAGES["image"]
USER = IMAGE.words("USER")[0].split(":")
DATA = IMAGE.words("VOLUME")[0]
DEVICES = ["null", "zero", "full", "random", "urandom"]


def enter_namespaces():
    """Starts this program again in a network and with mounts of its own, which end with it."""
    if os.environ.get("FRONTDESK_IN_NAMESPACES"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0 or not BINARY.exists():
        sys.exit(f"This needs root, for mounts and another uid, and the binary {BINARY}: `make build`, or name it in FRONTDESK_BIN.")
    os.environ["FRONTDESK_IN_NAMESPACES"] = "1"
    command = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, *sys.argv]
    os.execvp(command[0], command)


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} within {seconds} s")
        time.sleep(0.1)
    return result


def libraries():
    """Files of the C library and of the compiler's runtime that the binary is linked with, as the loader finds them."""
    lines = subprocess.run(["ldd", BINARY], check=True, capture_output=True, text=True).stdout.splitlines()
    words = (line.split() for line in lines)
    return [next(word for word in reversed(line) if word.startswith("/")) for line in words if any(word.startswith("/") for word in line)]


class Container:
    """A root file system with the binary, and the process in it. `mounts` and `volumes` are pairs of a path here and
    a path in it; only volumes can be written, by default one at the data folder."""

    def __init__(self, *, environment=(), mounts=(), volumes=None, hosts="127.0.0.1 localhost\n"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="frontdesk-image-"))
        self.folder.chmod(0o755)
        self.root, self.log = self.folder / "root", self.folder / "log"
        self.environment = {"PATH": "/usr/local/bin:/usr/bin", **IMAGE.pairs("ENV"), **dict(environment)}
        self.process = None
        self.root.mkdir()
        # First, so that all other mounts are in it and go with it.
        mount("--bind", self.root, self.root)
        self._build(hosts)
        for source, target in [(BINARY, IMAGE.words("ENTRYPOINT")[0]), *mounts]:
            self._bind(source, target)
        mount("-o", "remount,bind,ro", self.root)
        for source, target in [(volume(self.folder / "data"), DATA)] if volumes is None else volumes:
            mount("--bind", source, self.root / target.lstrip("/"))

    def _build(self, hosts):
        for folder in ("proc", "dev", "etc", "usr/local/bin", DATA.lstrip("/")):
            (self.root / folder).mkdir(parents=True)
        (self.root / "tmp").mkdir(mode=0o1777)
        for library in libraries():
            target = self.root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
        shutil.copytree("/etc/ssl/certs", self.root / "etc/ssl/certs", ignore_dangling_symlinks=True)
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
        (self.root / "etc/hosts").write_text(hosts)
        (self.root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
        for device in DEVICES:
            self._bind(f"/dev/{device}", f"/dev/{device}")

    def _bind(self, source, target):
        """Mounts a file or folder at a path that is made for it."""
        path = self.root / str(target).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if pathlib.Path(source).is_dir() else path.touch()
        mount("--bind", source, path)
        if not str(target).startswith("/dev/"):
            mount("-o", "remount,bind,ro", path)

    def _command(self, arguments, isolated):
        entry = IMAGE.words("ENTRYPOINT")
        own = ["--pid", "--fork", "--kill-child", "--mount-proc=/proc"] if isolated else []
        user = [f"--root={self.root}", "--wd=/", f"--setuid={USER[0]}", f"--setgid={USER[1]}"]
        return ["setpriv", "--no-new-privs", "unshare", *own, *user, *entry, *arguments]

    def start(self, *arguments):
        """Starts the process of the image, or with other arguments than its own."""
        with self.log.open("ab") as log:
            command = self._command(arguments or IMAGE.words("CMD"), isolated=True)
            self.process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def run(self, *arguments, timeout=120):
        """Runs another command in the same root and waits for it, as `docker exec` does."""
        command = self._command(arguments, isolated=False)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout)

    def first_process(self):
        """The id of the binary's process outside, which is process 1 inside."""
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(wait_until(lambda: self.process.poll() is None and path.read_text(), "the binary does not start").split()[0])

    def wait_until_serving(self, channel, seconds=60):
        wait_until(lambda: serving(channel) or self.process.poll() is not None, "it does not serve", seconds)
        assert self.process.poll() is None, self.messages()

    def stop(self):
        """Sends SIGTERM to the binary. Its exit code, and the seconds until then."""
        begin = time.monotonic()
        os.kill(self.first_process(), 15)
        return self.process.wait(timeout=60), time.monotonic() - begin

    def status(self):
        """The lines of /proc/<pid>/status."""
        lines = pathlib.Path(f"/proc/{self.first_process()}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def messages(self):
        return self.log.read_text()

    def remove(self):
        if self.process and self.process.poll() is None:
            # The end of unshare alone does not end it: a process that changed its user gets no signal at the end of its parent.
            os.kill(self.first_process(), 9)
            self.process.wait()
        subprocess.run(["umount", "--recursive", self.root], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def volume(path):
    """A folder that belongs to the image's user, as a new volume does that is mounted where the image has its data folder."""
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, *map(int, USER))
    return path


def serving(channel):
    """Whether the server reports that it serves, by gRPC health: the status is field 1, and SERVING is 1."""
    import grpc

    with contextlib.suppress(grpc.RpcError):
        return channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=2) == b"\x08\x01"
    return False


def buf_curl(address, method, token, request, *options):
    """Calls a method by reflection. Its response, or an AssertionError with the server's refusal."""
    command = [TOOLS / "node_modules/.bin/buf", "curl", "--protocol", "grpc", "-H", f"Authorization: Bearer {token}", *options]
    result = subprocess.run([*command, "-d", json.dumps(request), f"{address}/{method}"], capture_output=True, text=True)
    assert result.returncode == 0, f"{method}: {result.stderr}"
    return json.loads(result.stdout)
