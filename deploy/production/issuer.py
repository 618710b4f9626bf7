"""A token issuer for trying an installation out, in the place of your identity provider.

    issuer.py key KID                  creates a key for signing and publishes it in issuer/jwks.json, beside those before
    issuer.py serve CERTIFICATE KEY    serves the key set at https://localhost:7714/jwks.json
    issuer.py token KIND ACCOUNT SUBJECT [NAME]    prints a token for 10 minutes, signed with the newest key
"""

import base64
import functools
import http.server
import json
import ssl
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ADDRESS = ("127.0.0.1", 7714)
ISSUER = "https://localhost:7714"
PUBLISHED = Path("issuer/jwks.json")
# The keys for signing are in files of this process's user only.
KEYS = Path("secrets")


def encoded(value):
    value = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def read_keys():
    return json.loads(PUBLISHED.read_text())["keys"] if PUBLISHED.exists() else []


def create_key(kid):
    key = Ed25519PrivateKey.generate()
    file = KEYS / f"issuer-{kid}"
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(key.private_bytes_raw())
    public = key.public_key().public_bytes_raw()
    keys = [*read_keys(), {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": encoded(public)}]
    # Renamed, so that a reader never sees a part of it.
    new = PUBLISHED.with_suffix(".new")
    new.write_text(json.dumps({"keys": keys}))
    new.rename(PUBLISHED)


def token(kind, account, subject, name=""):
    kid, now = read_keys()[-1]["kid"], int(time.time())
    claims = {"iss": ISSUER, "aud": "frontdesk", "sub": subject, "account": account, "kind": kind, "nbf": now, "exp": now + 600}
    if name:
        claims["name"] = name
    signed = f"{encoded({'alg': 'EdDSA', 'typ': 'JWT', 'kid': kid})}.{encoded(claims)}"
    key = Ed25519PrivateKey.from_private_bytes((KEYS / f"issuer-{kid}").read_bytes())
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


def serve(certificate, key):
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=PUBLISHED.parent)
    server = http.server.ThreadingHTTPServer(ADDRESS, files)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    commands = {"key": create_key, "serve": serve, "token": lambda *caller: print(token(*caller))}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        raise SystemExit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
