"""A receiver of webhooks: it verifies each request, and hands its event on. It needs no stubs."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

# Maximum size of a request that is read, in bytes. Events have no text, and are smaller.
MAX_BYTES = 1 << 20


class WebhookReceiver(ThreadingHTTPServer):
    """Listens on a free port of this machine. `handle(event, body)` gets each event, as the object of its JSON and as the bytes that came.

    `secret` is that of the endpoint, from CreateWebhookEndpoint. Without one all requests are refused.
    """

    def __init__(self, handle):
        super().__init__(("127.0.0.1", 0), Request)
        self.handle, self.secret = handle, None
        self.url = f"http://127.0.0.1:{self.server_port}/frontdesk"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Request(BaseHTTPRequestHandler):
    timeout = 10  # Maximum time that its bytes are waited for, in seconds.

    def do_POST(self):
        self.send_response(self.receive())
        self.send_header("content-length", "0")
        self.end_headers()

    def receive(self):
        """The status of the answer."""
        size = self.headers.get("content-length", "")
        if not size.isdecimal() or int(size) > MAX_BYTES:
            return 413
        body = self.rfile.read(int(size))  # The signature is of these bytes: verify them before anything reads the JSON.
        if not self.server.secret:
            return 401
        try:
            event = Webhook(self.server.secret).verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):  # ValueError: a header that is not in the form of Standard Webhooks.
            return 401
        # It has ten seconds. Work that takes longer is stored here, and done afterwards.
        self.server.handle(event, body)
        return 204

    def log_message(self, *_):
        pass
