"""Tokens for visitors, as a back end signs them."""

import base64
import hashlib
import hmac
import json
import time
from typing import NamedTuple


class Issuer(NamedTuple):
    """What a back end signs visitor tokens with. The secret never leaves it."""

    account: str
    channel: str
    key_id: str
    secret: str

    def visitor_token(self, visitor, **vouched):
        """A token for a visitor, with what the back end knows of them, such as a verified `email` and a `name`."""
        now = int(time.time())
        claims = {"iss": self.channel, "aud": "frontdesk", "sub": visitor, "account": self.account,
                  "nbf": now, "exp": now + 3600, **vouched}
        signed = part({"alg": "HS256", "typ": "JWT", "kid": self.key_id}) + "." + part(claims)
        # The key is the characters of the secret, which are not decoded.
        return signed + "." + encoded(hmac.new(self.secret.encode(), signed.encode(), hashlib.sha256).digest())


def part(content):
    return encoded(json.dumps(content).encode())


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
