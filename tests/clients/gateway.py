"""Runs a gateway with the configuration of deploy/gateway in front of a running server, and calls through it.

    gateway.py nginx|envoy PROGRAM --protos proto --address HOST:PORT --web HOST:PORT

Tokens come from the environment: ADMIN_TOKEN, VISITOR_TOKEN. It needs the channel CHANNEL_ID.
"""

import argparse
import http.client
import os
import socket
import ssl
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import trustme
from servers import free_port, wait_for
from stubs import generate

CONFIGS = Path(__file__).resolve().parents[2] / "deploy/gateway"
KINDS = {
    # The configuration, and the arguments that run it in the foreground.
    "nginx": ("nginx.conf", ["-p", ".", "-c", "nginx.conf", "-g", "daemon off;"]),
    "envoy": ("envoy.yaml", ["-c", "envoy.yaml", "--concurrency", "1", "--disable-hot-restart"]),
}
VISITOR_SERVICE = "/frontdesk.conversation.v1.VisitorService"

arguments = argparse.ArgumentParser()
arguments.add_argument("kind", choices=KINDS)
arguments.add_argument("program")
for option in ("--protos", "--address", "--web"):
    arguments.add_argument(option, required=True)
arguments = arguments.parse_args()


class Gateway:
    """The gateway on a free port, with a certificate for both of its names."""

    def __init__(self, kind, program):
        config, options = KINDS[kind]
        self.port, self.folder, authority = free_port(), Path(tempfile.mkdtemp()), trustme.CA()
        certificate = authority.issue_cert("api.example", "chat.example")
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        for part in certificate.cert_chain_pems:
            part.write_to_path(self.folder / "certificate.pem", append=True)
        text = (CONFIGS / config).read_text()
        # In the form of both configurations: `HOST:PORT` and `port_value: PORT`.
        ports = {"7700": arguments.address.rpartition(":")[2], "7780": arguments.web.rpartition(":")[2]}
        text = text.replace("listen 8443", f"listen 127.0.0.1:{self.port}").replace("address: 0.0.0.0, port_value: 8443", f"address: 127.0.0.1, port_value: {self.port}")
        for shown, real in ports.items():
            assert f":{shown};" in text or f"port_value: {shown}" in text, f"{config} does not name the port {shown}"
            text = text.replace(f":{shown};", f":{real};").replace(f"port_value: {shown}", f"port_value: {real}")
        (self.folder / config).write_text(text)
        self.authority = authority.cert_pem.bytes()
        self.log = self.folder / "log"
        self.process = subprocess.Popen([program, *options], cwd=self.folder, stdout=self.log.open("w"), stderr=subprocess.STDOUT)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def channel(self):
        names = [("grpc.ssl_target_name_override", "api.example"), ("grpc.default_authority", "api.example")]
        return grpc.secure_channel(f"127.0.0.1:{self.port}", grpc.ssl_channel_credentials(self.authority), names)

    def request(self, method, path, body=b"", headers=()):
        """A request of a page to chat.example. Returns the open response."""
        context = ssl.create_default_context(cadata=self.authority.decode())
        connection = http.client.HTTPSConnection("chat.example", self.port, context=context, timeout=30)
        connection._create_connection = lambda _, *rest, **options: socket.create_connection(("127.0.0.1", self.port), *rest, **options)
        connection.request(method, path, body, dict(headers))
        return connection.getresponse()


def token(name):
    return f"Bearer {os.environ[name]}"


def call_of_page(gateway, method, message, answer_type):
    """A call by gRPC-Web. Returns the first message of the answer."""
    body = message.SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "origin": "https://shop.example", "authorization": token("VISITOR_TOKEN")}
    response = gateway.request("POST", f"{VISITOR_SERVICE}/{method}", b"\0" + len(body).to_bytes(4, "big") + body, headers)
    head = response.read(5)
    assert response.status == 200 and len(head) == 5 and head[0] == 0, (method, response.status, response.getheaders(), head)
    return answer_type.FromString(response.read(int.from_bytes(head[1:], "big")))


def refused(channel, path):
    """The code of a call that the gateway does not route."""
    try:
        channel.unary_unary(path)(b"", metadata=[("authorization", token("ADMIN_TOKEN"))], timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def play(gateway):
    channels = import_module("frontdesk.conversation.v1.channel_service_pb2")
    visitor = import_module("frontdesk.conversation.v1.visitor_service_pb2")
    service = import_module("frontdesk.conversation.v1.channel_service_pb2_grpc").ChannelServiceStub(gateway.channel())
    admin = [("authorization", token("ADMIN_TOKEN"))]
    listed = service.ListChannels(channels.ListChannelsRequest(), metadata=admin, timeout=20)
    assert os.environ["CHANNEL_ID"] in {one.id for one in listed.channels}, listed
    print("gRPC: an administrator lists the channels")

    assert refused(gateway.channel(), "/frontdesk.notification.v1beta1.WebhookService/ListWebhookEndpoints") == grpc.StatusCode.OK
    # An empty request: all events from now on. The first update says that there are no earlier ones.
    events = gateway.channel().unary_stream("/frontdesk.event.v1.ConversationEventService/SubscribeConversationEvents")
    subscription = events(b"", metadata=admin, timeout=20)
    assert next(subscription)
    subscription.cancel()
    print("gRPC: an administrator lists webhooks, and subscribes to events")

    closed = ["frontdesk.conversation.internal.v1.ArbiterService/ApplyBot", "frontdesk.dev.v1.MailboxService/ListMails", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
    for path in closed:
        assert refused(gateway.channel(), f"/{path}") == grpc.StatusCode.UNIMPLEMENTED, path
    assert gateway.request("GET", "/frontdesk.conversation.v1.ChannelService/ListChannels").status == 404
    print("Internal, development and reflection services are not published, nor are the team's services to pages")

    start = visitor.StartChatRequest(channel_id=os.environ["CHANNEL_ID"], page_url="https://shop.example/", text="Through a gateway", request_id="gateway-start")
    chat = call_of_page(gateway, "StartChat", start, visitor.StartChatResponse).chat
    watched = call_of_page(gateway, "WatchChat", visitor.WatchChatRequest(chat_id=chat.id), visitor.WatchChatResponse)
    assert watched.WhichOneof("update"), watched
    print("gRPC-Web: a page starts a chat and watches it; the first update comes while the stream is open")

    content = b"notes\n" * 20_000
    create = visitor.CreateChatAttachmentRequest(chat_id=chat.id, file_name="notes.txt", size_bytes=len(content), request_id="gateway-file")
    upload = call_of_page(gateway, "CreateChatAttachment", create, visitor.CreateChatAttachmentResponse).upload
    place = urlsplit(upload.url)
    answer = gateway.request("PUT", f"{place.path}?{place.query}" if place.query else place.path, content, upload.headers)
    assert answer.status == 200, (answer.status, answer.read())
    print("Files: an upload passes")

    anonymous = f"{VISITOR_SERVICE}/CreateAnonymousVisitor"
    empty, headers = bytes(5), {"content-type": "application/grpc-web+proto", "origin": "https://shop.example"}
    # A header that names other addresses changes nothing.
    calls = [{**headers, "x-forwarded-for": f"198.51.100.{number}"} for number in range(100)]
    statuses = {gateway.request("POST", anonymous, empty, call).status for call in calls}
    assert statuses == {200, 429}, statuses  # Frontdesk answers the first 60, and says that they have no token.
    channel = gateway.channel()
    codes = {refused(channel, anonymous) for _ in range(100)}
    assert grpc.StatusCode.UNAVAILABLE in codes, codes
    assert call_of_page(gateway, "GetWidget", visitor.GetWidgetRequest(channel_id=os.environ["CHANNEL_ID"]), visitor.GetWidgetResponse)
    print("Limits: an address that creates too many anonymous visitors is refused, and what else it does is not")
    too_large = gateway.request("PUT", place.path, b"", {"content-length": str(30 << 20)}) if arguments.kind == "nginx" else None
    assert too_large is None or too_large.status == 413, too_large.status


def main():
    generate(arguments.protos)
    gateway = Gateway(arguments.kind, arguments.program)
    try:
        wait_for(f"127.0.0.1:{gateway.port}", gateway.process, gateway.log)
        play(gateway)
        print(f"{arguments.kind}: played")
    finally:
        gateway.stop()


main()
