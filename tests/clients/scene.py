"""What the programs play in: a server in a folder of its own, a line that can be cut, a channel, and the team."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import grpc
from recipes import CLIENTS, ROOT, TOOLS, shell

ACCOUNT = "00000000-0000-7000-8000-000000000001"


def visitor_token(account, channel, key_id, secret, visitor, **vouched):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    now = int(time.time())
    claims = {"iss": channel, "aud": "frontdesk", "sub": visitor, "account": account,
              "nbf": now, "exp": now + 3600, **vouched}
    signed = part({"alg": "HS256", "typ": "JWT", "kid": key_id}) + b"." + part(claims)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`frontdesk serve all` with its data in a temporary folder. `page` is the origin that may call it from a browser."""

    def __init__(self, binary, page):
        self.folder, self.page = tempfile.TemporaryDirectory(), page
        self.address, self.web = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        settings = Path(self.folder.name, "frontdesk.toml")
        settings.write_text(f'listen = "{self.address}"\ndata_folder = "{self.folder.name}/data"\n[web]\nlisten = "{self.web}"\nallowed_origins = ["{page}"]\n')
        self.command = [binary, "--config", settings]
        self.log = Path(self.folder.name, "log")
        self.process = subprocess.Popen([*self.command, "serve", "all"], stdout=subprocess.DEVNULL, stderr=self.log.open("w"))
        for address in (self.address, self.web):
            self.wait_for(address)

    def wait_for(self, address):
        host, port = address.split(":")
        for _ in range(600):
            try:
                return socket.create_connection((host, int(port))).close()
            except OSError:
                time.sleep(0.05)
            if self.process.poll() is not None:
                break
        raise SystemExit(f"the server does not listen on {address}:\n{self.log.read_text()}")

    def token(self, kind, subject):
        mint = [*self.command, "token", "--kind", kind, "--subject", subject]
        return subprocess.run(mint, check=True, text=True, capture_output=True).stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()


class Line:
    """A proxy for TCP in front of an address, whose connections can be cut."""

    def __init__(self, target):
        self.target, self.down, self.ends = target, False, set()
        self.address = ""

    async def start(self):
        server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]

    async def carry(self, reader, writer):
        self.ends.add(writer)
        try:
            if not self.down:
                there, back = await asyncio.open_connection(*self.target.split(":"))
                self.ends.add(back)
                await asyncio.gather(self.copy(reader, back), self.copy(there, writer))
        finally:
            writer.transport.abort()

    async def copy(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def cut(self):
        self.down = True
        for end in self.ends:
            end.transport.abort()
        self.ends.clear()


class Team:
    """An administrator who sets up a channel, and an agent who answers on it."""

    def __init__(self, server):
        stubs = CLIENTS / "driver"
        shell(f"mkdir -p {stubs}; python -m grpc_tools.protoc -Ithird_party -I. --python_out={stubs} --grpc_python_out={stubs} "
              "$(find frontdesk third_party/buf -name '*.proto')", ROOT / "target/public-protos")
        sys.path.insert(0, str(stubs))
        from frontdesk.assignment.v1 import roster_service_pb2, roster_service_pb2_grpc
        from frontdesk.conversation.v1 import channel_service_pb2, channel_service_pb2_grpc, conversation_service_pb2
        from frontdesk.conversation.v1 import conversation_service_pb2_grpc, thread_service_pb2, thread_service_pb2_grpc

        self.channel = grpc.insecure_channel(server.address)
        agent_id = str(uuid.uuid4())
        admin = self.caller(server.token("admin", "administrator"))
        self.agent = self.caller(server.token("agent", agent_id))
        roster_service_pb2_grpc.RosterServiceStub(self.channel).CreateAgent(
            roster_service_pb2.CreateAgentRequest(agent_id=agent_id, name="Grace", handle=f"grace-{agent_id[:8]}", request_id=agent_id), metadata=admin)
        channels = channel_service_pb2_grpc.ChannelServiceStub(self.channel)
        shop = channels.CreateChannel(channel_service_pb2.CreateChannelRequest(
            name="Shop", website_url="https://shop.example", no_greeter={}, anonymous_visitors={"allowed_origins": [server.page]},
            request_id=agent_id), metadata=admin).channel
        key = channels.RotateVisitorKey(
            channel_service_pb2.RotateVisitorKeyRequest(channel_id=shop.id, request_id=f"key-{agent_id}"), metadata=admin)
        self.channel_id, self.key = shop.id, (key.key.key_id, key.secret)
        self.widget = {"WIDGET_TOKEN": shop.widget_token, "PAGE_ORIGIN": server.page}
        self.threads = thread_service_pb2_grpc.ThreadServiceStub(self.channel)
        self.conversations = conversation_service_pb2_grpc.ConversationServiceStub(self.channel)
        self.message, self.close = thread_service_pb2.PostMessageRequest, conversation_service_pb2.CloseConversationRequest

    @staticmethod
    def caller(token):
        return [("authorization", f"Bearer {token}")]

    def environment(self, visitor):
        """The settings of a program, for a visitor of its own. The expired token is five minutes too old."""
        now = int(time.time())
        token = lambda **times: visitor_token(ACCOUNT, self.channel_id, *self.key, visitor, **times)
        return {**self.widget, "CHANNEL_ID": self.channel_id, "VISITOR_TOKEN": token(), "EXPIRED_TOKEN": token(nbf=now - 3600, exp=now - 300)}

    def answer_and_close(self, chat_id):
        for text in ("Nearly.", "Now it is."):
            self.threads.PostMessage(self.message(conversation_id=chat_id, text=text, request_id=str(uuid.uuid4())), metadata=self.agent)
        self.conversations.CloseConversation(self.close(conversation_id=chat_id, request_id=str(uuid.uuid4())), metadata=self.agent)


async def play(name, client, team, line, environment):
    """Runs a program, and cuts its line when it says so. Returns what it printed; ends if it failed."""
    path = os.pathsep.join([str(TOOLS / "python/bin"), os.environ["PATH"]])
    await line.start()
    program = await asyncio.create_subprocess_exec(
        "sh", "-c", client.run, cwd=CLIENTS / name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path, "ADDRESS": line.address, **team.environment(name), **environment},
    )
    printed = []

    async def follow():
        async for row in program.stdout:
            printed.append(row.decode().rstrip())
            if printed[-1].startswith("cut "):
                line.cut()
                await asyncio.to_thread(team.answer_and_close, printed[-1].removeprefix("cut "))
                line.down = False
        return await program.wait()

    try:
        code = await asyncio.wait_for(follow(), 90)
    except asyncio.TimeoutError:
        code = "no end within 90 seconds"
        program.kill()
    if code != 0 or not printed or printed[-1] != "done":
        raise SystemExit("\n".join([*printed, f"{name}: failed ({code})"]))
    return printed
