"""An installation in embedded mode: one process, with everything in its data folder, which is copied while the process is stopped."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

from installation import SERVICES, SKIPPED_POSITIONS, stop, wait_for
from mail_server import MailServer
from servers import free_port


class EmbeddedInstallation:
    # The same process decides: nothing is pending when it has stopped.
    decides_again = False

    def __init__(self, folder, binary):
        self.folder, self.binary = Path(folder), Path(binary).resolve()
        self.logs, self.process = 0, None
        self.data, self.backup, self.settings = (self.folder / name for name in ("data", "backup", "frontdesk.toml"))
        self.port, self.web, self.mail = free_port(), free_port(), MailServer(free_port())
        self.settings.write_text(f"""listen = "127.0.0.1:{self.port}"
data_folder = "{self.data}"
[web]
listen = "127.0.0.1:{self.web}"
[notification]
retry_pause = "1s"
automatic_interval_per_conversation = "0s"
[notification.smtp]
host = "127.0.0.1"
port = {self.mail.port}
tls = "none"
helo_name = "frontdesk.example"
""")

    def address(self, _service):
        return f"127.0.0.1:{self.port}"

    def frontdesk(self, *command):
        done = subprocess.run([self.binary, "--config", self.settings, *command], text=True, capture_output=True, cwd=self.folder)
        if done.returncode != 0:
            raise SystemExit(f"frontdesk {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def start_servers(self):
        self.logs += 1
        log = self.folder / f"{self.logs:02}.log"
        command = [self.binary, "--config", self.settings, "serve"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log.open("w"), cwd=self.folder)
        wait_for(self.port, self.process, log)

    start_replicas = start_consumers = start_servers

    def stop_consumers(self):
        pass

    def stop(self):
        if self.process and self.process.poll() is None:
            stop(self.process)
        self.mail.stop()

    def files_of(self, attachment):
        return list((self.data / "attachments").glob(f"*/{attachment}/*"))

    def log_lines(self, after, word):
        logs = sorted(self.folder.glob("[0-9][0-9].log"))[after:]
        return [line for log in logs for line in log.read_text().splitlines() if word in line]

    def begin_backup(self):
        pass

    def back_up_attachments(self):
        pass

    def end_backup(self):
        stop(self.process)
        shutil.copytree(self.data, self.backup)

    def restore(self, _moment):
        stop(self.process)
        shutil.rmtree(self.data)
        shutil.copytree(self.backup, self.data)
        for service in SERVICES:
            database = sqlite3.connect(self.data / f"{service}.db")
            with database:
                database.execute(f"UPDATE sqlite_sequence SET seq = seq + {SKIPPED_POSITIONS} WHERE name = 'outbox_events'")
            database.close()
