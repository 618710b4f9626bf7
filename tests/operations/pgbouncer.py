"""PgBouncer between the replicas and PostgreSQL: a whole chat with a session for each connection, and the refusal of the other modes.

    python pgbouncer.py FRONTDESK [PGBOUNCER]

FRONTDESK and PGBOUNCER are the programs.
"""

import shutil
import subprocess
import sys
import tempfile

from installation import DATABASES, NOBODY, SERVICES, Installation, stop, wait_for
from play import Team, wait_until
from servers import free_port

# What the error says.
REMEDY = "set its pool_mode to session"


class Pooled(Installation):
    def __init__(self, folder, binary, pgbouncer):
        super().__init__(folder, binary)
        self.pgbouncer, self.pooler = pgbouncer, None

    def pool(self, mode):
        """Puts a pooler with this mode before PostgreSQL."""
        self.stop_pooler()
        port, settings, users = free_port(), self.owned / f"{mode}.ini", self.owned / "users.txt"
        users.write_text("".join(f'"{database}" ""\n' for database in DATABASES))
        settings.write_text(f"""[databases]
* = host=127.0.0.1 port={self.ports["postgres"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
default_pool_size = 40
""")
        self.pooler, log = self.start(f"pgbouncer-{mode}", [self.pgbouncer, settings], **{"cwd": "/", **NOBODY})
        wait_for(port, self.pooler, log)
        self.write_settings(port)

    def stop_pooler(self):
        if self.pooler:
            stop(self.pooler)
            self.pooler = None

    def stop(self):
        self.stop_replicas()
        self.stop_pooler()
        super().stop()

    def try_frontdesk(self, *command):
        """The exit code and what was printed."""
        done = subprocess.run([self.binary, "--config", self.settings, *command], text=True, capture_output=True, cwd=self.folder)
        return done.returncode, done.stdout + done.stderr


def check(installation):
    installation.create_database_server()
    installation.start_nats()
    installation.pool("session")
    installation.frontdesk("migrate")
    installation.serve(*SERVICES)
    team = Team(installation)
    team.play_chat("pooled")
    wait_until("the transcript is mailed", lambda: team.mails("pooled"))
    # The settings are those of the session: without them row-level security would hide every event from the relays.
    print("session: a whole chat, and its mail")
    installation.stop_replicas()
    for mode in ("transaction", "statement"):
        installation.pool(mode)
        for command in (("migrate",), ("serve", "conversation"), ("doctor",)):
            code, printed = installation.try_frontdesk(*command)
            assert code != 0 and REMEDY in printed, (mode, command, code, printed)
        print(f"{mode}: refused by migrate, serve and doctor")


if __name__ == "__main__":
    program = sys.argv[2] if len(sys.argv) > 2 else shutil.which("pgbouncer", path="/usr/bin:/usr/sbin:/usr/local/bin")
    if not program:
        sys.exit("there is no pgbouncer; on Debian: apt-get install pgbouncer, and stop the service that it starts")
    with tempfile.TemporaryDirectory(prefix="frontdesk-pgbouncer-") as folder:
        pooled = Pooled(folder, sys.argv[1], program)
        try:
            check(pooled)
        finally:
            pooled.stop()
