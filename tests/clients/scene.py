"""What the programs play in: a server in a folder of its own, a line that can be cut, a channel, and the team."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import grpc
from recipes import CLIENTS, ROOT, TOOLS
from servers import Servers, free_port, wait_for
from stubs import generate

ACCOUNT = "00000000-0000-7000-8000-000000000001"
# The services that the programs call, also from a page.
SERVICES = (
    "assignment.v1.AssignmentService", "botsession.v1.BotEngineService", "conversation.v1.AttachmentService",
    "conversation.v1.ConversationService", "conversation.v1.InsertService", "conversation.v1.ThreadService",
    "conversation.v1.VisitorService", "event.v1.ConversationEventService", "notification.v1.TranscriptService",
)
# What the visitor says in the first chats of proto/README.md.
HELLO = "Is my bicycle ready?"
# For how long `cut` of a program refuses connections, in seconds.
CUT = 0.5


def visitor_token(account, channel, key_id, secret, visitor, **vouched):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    now = int(time.time())
    claims = {"iss": channel, "aud": "frontdesk", "sub": visitor, "account": account,
              "nbf": now, "exp": now + 3600, **vouched}
    signed = part({"alg": "HS256", "typ": "JWT", "kid": key_id}) + b"." + part(claims)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Server:
    """`frontdesk serve all` with its data in a temporary folder: on SQLite (embedded), or on PostgreSQL and NATS (distributed). `page` is
    the origin that may call it from a browser."""

    def __init__(self, binary, page, mode="embedded"):
        self.folder, self.page, self.process, self.servers = tempfile.TemporaryDirectory(), page, None, None
        self.address, self.web = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        settings, log = Path(self.folder.name, "frontdesk.toml"), Path(self.folder.name, "log")
        services = ", ".join(f'"frontdesk.{service}"' for service in SERVICES)
        text = f"""listen = "{self.address}"
data_folder = "{self.folder.name}/data"
[web]
listen = "{self.web}"
allowed_origins = ["{page}"]
services = [{services}]
public_url = "http://{self.web}"
[attachments]
folder = "{self.folder.name}/attachments"
[notification.webhooks]
allow_http = true
allowed_networks = ["127.0.0.0/8"]
[development]
pages_folder = "{CLIENTS}/web/dist"
"""
        self.command = [binary, "--config", settings]
        try:
            if mode == "distributed":
                self.servers = Servers(Path(self.folder.name))
                text += self.servers.settings()
            settings.write_text(text)
            if mode == "distributed":
                subprocess.run([*self.command, "migrate"], check=True, stdout=subprocess.DEVNULL)
            self.process = subprocess.Popen([*self.command, "serve", "all"], stdout=subprocess.DEVNULL, stderr=log.open("w"))
            for address in (self.address, self.web):
                wait_for(address, self.process, log)
        except BaseException:
            self.stop()
            raise

    def token(self, kind, subject):
        mint = [*self.command, "token", "--kind", kind, "--subject", subject]
        return subprocess.run(mint, check=True, text=True, capture_output=True).stdout.strip()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        if self.servers:
            self.servers.stop()
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
    """An administrator who sets up channels, and an agent who answers on them."""

    def __init__(self, server):
        generate(ROOT / "target/public-protos")
        from frontdesk.assignment.v1 import roster_service_pb2, roster_service_pb2_grpc
        from frontdesk.botsession.v1 import bot_service_pb2, bot_service_pb2_grpc
        from frontdesk.conversation.v1 import channel_service_pb2, channel_service_pb2_grpc, conversation_service_pb2
        from frontdesk.conversation.v1 import conversation_service_pb2_grpc, thread_service_pb2, thread_service_pb2_grpc

        self.server, self.channel = server, grpc.insecure_channel(server.address)
        self.agent_id = agent_id = str(uuid.uuid4())
        self.admin_token = server.token("admin", "administrator")
        self.admin = admin = self.caller(self.admin_token)
        self.agent_token = server.token("agent", agent_id)
        self.agent = self.caller(self.agent_token)
        roster_service_pb2_grpc.RosterServiceStub(self.channel).CreateAgent(
            roster_service_pb2.CreateAgentRequest(agent_id=agent_id, name="Grace", handle=f"grace-{agent_id[:8]}", request_id=agent_id), metadata=admin)
        self.channels = channel_service_pb2_grpc.ChannelServiceStub(self.channel)
        self.new_channel, self.new_key = channel_service_pb2.CreateChannelRequest, channel_service_pb2.RotateVisitorKeyRequest
        self.bots, self.new_bot = bot_service_pb2_grpc.BotServiceStub(self.channel), bot_service_pb2.CreateBotRequest
        shop, self.key = self.create_channel(no_greeter={}, anonymous_visitors={"allowed_origins": [server.page]})
        self.channel_id = shop.id
        self.widget = {"WIDGET_TOKEN": shop.widget_token, "PAGE_ORIGIN": server.page}
        self.threads = thread_service_pb2_grpc.ThreadServiceStub(self.channel)
        self.conversations = conversation_service_pb2_grpc.ConversationServiceStub(self.channel)
        self.message, self.close = thread_service_pb2.PostMessageRequest, conversation_service_pb2.CloseConversationRequest

    @staticmethod
    def caller(token):
        return [("authorization", f"Bearer {token}")]

    def create_channel(self, **greeter):
        """A channel, and the id and the secret of its key."""
        request_id = str(uuid.uuid4())
        new = self.new_channel(name="Shop", website_url="https://shop.example", request_id=request_id, **greeter)
        channel = self.channels.CreateChannel(new, metadata=self.admin).channel
        key = self.channels.RotateVisitorKey(self.new_key(channel_id=channel.id, request_id=f"key-{request_id}"), metadata=self.admin)
        return channel, (key.key.key_id, key.secret)

    def play_environment(self):
        """The settings of a whole chat: a channel of its own, whose bot is a program, with the key that signs for its visitors."""
        bot = self.bots.CreateBot(self.new_bot(name="Robin", engine={}, request_id=str(uuid.uuid4())), metadata=self.admin).bot
        channel, (key_id, secret) = self.create_channel(bot_id=bot.id)
        return {
            "ACCOUNT_ID": ACCOUNT, "CHANNEL_ID": channel.id, "KEY_ID": key_id, "KEY_SECRET": secret, "AGENT_ID": self.agent_id,
            "AGENT_TOKEN": self.agent_token, "BOT_TOKEN": self.server.token("bot", bot.id), "ADMIN_TOKEN": self.admin_token,
        }

    def visit_environment(self, visitor):
        """The settings of a visit, for a visitor of its own. The expired token is five minutes too old."""
        now = int(time.time())
        token = lambda **times: visitor_token(ACCOUNT, self.channel_id, *self.key, visitor, **times)
        return {**self.widget, "CHANNEL_ID": self.channel_id, "VISITOR_TOKEN": token(), "EXPIRED_TOKEN": token(nbf=now - 3600, exp=now - 300)}

    def answer_and_close(self, chat_id):
        for text in ("Nearly.", "Now it is."):
            self.threads.PostMessage(self.message(conversation_id=chat_id, text=text, request_id=str(uuid.uuid4())), metadata=self.agent)
        self.conversations.CloseConversation(self.close(conversation_id=chat_id, request_id=str(uuid.uuid4())), metadata=self.agent)


async def play(name, command, team, line, environment, end, seconds):
    """Runs a program for this time at most, and cuts its line when it says so. Returns what it printed; ends if it failed, or does not print
    `end` at last.

    `cut <chat>`: meanwhile the team answers and closes the chat. `cut` alone: for half a second.
    """
    path = os.pathsep.join([str(TOOLS / "python/bin"), os.environ["PATH"]])
    await line.start()
    program = await asyncio.create_subprocess_exec(
        "sh", "-c", command, cwd=CLIENTS / name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path, "ADDRESS": line.address, **environment},
    )
    printed = []

    async def follow():
        async for row in program.stdout:
            printed.append(row.decode().rstrip())
            if printed[-1].startswith("cut "):
                line.cut()
                await asyncio.to_thread(team.answer_and_close, printed[-1].removeprefix("cut "))
                line.down = False
            elif printed[-1] == "cut":
                line.cut()
                await asyncio.sleep(CUT)
                line.down = False
        return await program.wait()

    try:
        code = await asyncio.wait_for(follow(), seconds)
    except asyncio.TimeoutError:
        code = f"no end within {seconds} seconds"
        program.kill()
    if code != 0 or not printed or printed[-1] != end:
        raise SystemExit("\n".join([*printed, f"{name}: failed ({code})"]))
    return printed
