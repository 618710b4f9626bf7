"""An independent SMTP server for tests: aiosmtpd with STARTTLS and authentication required, on a free loopback port.

Prints its port as the first line. Every accepted mail is written to the folder, and its contents, as Python's mail library
parses them, to a JSON file beside it. Ends when its standard input is closed.
"""

import json
import socket
import ssl
import sys
from email import policy
from email.parser import BytesParser
from pathlib import Path

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

folder, user, password = Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()


class Mailbox:
    def __init__(self):
        self.count = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("refused"):
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        parsed = BytesParser(policy=policy.default).parsebytes(envelope.content)
        mail = {
            "envelope_from": envelope.mail_from,
            "envelope_to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None,
            "authenticated": session.authenticated,
            "headers": {name: str(value) for name, value in parsed.items()},
            "defects": [str(defect) for part in parsed.walk() for defect in part.defects],
            "types": [part.get_content_type() for part in parsed.walk()],
            "text": parsed.get_body(("plain",)).get_content(),
            "html": parsed.get_body(("html",)).get_content() if parsed.get_body(("html",)) else "",
        }
        (folder / f"{self.count}.eml").write_bytes(envelope.content)
        (folder / f"{self.count}.new").write_text(json.dumps(mail))
        (folder / f"{self.count}.new").rename(folder / f"{self.count}.json")
        return f"250 2.0.0 Kept as number {self.count}"


def authenticate(server, session, envelope, mechanism, auth_data):
    good = isinstance(auth_data, LoginPassword) and (auth_data.login, auth_data.password) == (user, password)
    return AuthResult(success=good, handled=False)  # the server answers, also when it refuses


ca = trustme.CA()
certificate = ca.issue_cert("localhost")
ca.cert_pem.write_to_path(str(folder / "ca.pem"))
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
certificate.configure_cert(tls)
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
controller = Controller(
    Mailbox(),
    hostname="127.0.0.1",
    port=port,
    tls_context=tls,
    require_starttls=True,
    auth_required=True,
    authenticator=authenticate,
    ready_timeout=20,
)
controller.start()
print(port, flush=True)
sys.stdin.read()
controller.stop()
