"""Plays one chat on an installation, from the greeting to the mail, in an account of its own.

It stands for an account's back end, its widget and its inbox. Calls that fail with UNAVAILABLE are repeated with the same request id,
and streams are resumed, so a chat goes on while replicas restart. Stubs are in the folder stubs, mails in the Maildir mails.
"""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import re
import sys
import time
import uuid
from importlib import import_module
from pathlib import Path

import grpc
import issuer

sys.path.insert(0, "stubs")


def package(name):
    return import_module(f"frontdesk.{name}_pb2"), import_module(f"frontdesk.{name}_pb2_grpc")


bots, bots_grpc = package("botsession.v1.bot_service")
flows, _ = package("botsession.v1.flow")
channels, channels_grpc = package("conversation.v1.channel_service")
conversations, conversations_grpc = package("conversation.v1.conversation_service")
threads, threads_grpc = package("conversation.v1.thread_service")
visitors, visitors_grpc = package("conversation.v1.visitor_service")
roster, roster_grpc = package("assignment.v1.roster_service")
assignments, assignments_grpc = package("assignment.v1.assignment_service")
senders, senders_grpc = package("notification.v1.sender_service")
transcripts, transcripts_grpc = package("notification.v1.transcript_service")

AUTHORITY = grpc.ssl_channel_credentials(Path("tls/services-ca.pem").read_bytes())


def replicas(*ports):
    """A channel to the replicas of a service, which calls one that can be reached."""
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    options = [("grpc.default_authority", "localhost"), ("grpc.lb_policy_name", "round_robin")]
    return grpc.secure_channel(f"ipv4:{addresses}", AUTHORITY, options)


conversation, assignment = replicas(7701, 7702), replicas(7703, 7704)
bot_session, notification = replicas(7705, 7706), replicas(7707, 7708)


def calling_with(token):
    return [("authorization", f"Bearer {token}")]


def rid():
    return str(uuid.uuid4())


def wait_for(what, ask):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.1)
    raise SystemExit(f"waited in vain for {what}")


def call(method, request, token):
    """Calls, and repeats the same request while the service is unavailable."""

    def attempt():
        try:
            return method(request, metadata=calling_with(token), timeout=10)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise

    return wait_for("a replica", attempt)


def mail_to(address):
    """The first mail to this address."""
    for file in Path("mails/new").iterdir():
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        if address in mail["To"]:
            return mail


def visitor_token(account, channel, key_id, secret, visitor, **vouched):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    now = int(time.time())
    claims = {"iss": channel, "aud": "frontdesk", "sub": visitor, "account": account, "nbf": now, "exp": now + 3600, **vouched}
    signed = part({"alg": "HS256", "typ": "JWT", "kid": key_id}) + b"." + part(claims)
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


# The administrator: a sender whose address is verified, an agent, a bot, a channel, a key for the tokens of its visitors.
account, agent_id = rid(), rid()
admin, agent = issuer.token("admin", account, "back-end"), issuer.token("agent", account, agent_id)
shop_address, visitor_address = f"shop-{account}@shop.example", f"vera-{account}@visitor.example"
sender_service = senders_grpc.SenderServiceStub(notification)
sender = call(sender_service.CreateSender, senders.CreateSenderRequest(email=shop_address, display_name="Shop", request_id=rid()), admin).sender
code_mail = wait_for("the mail with the code", lambda: mail_to(shop_address)).get_body(("plain",)).get_content()
code = re.search(r"^\s*(\d{8})\s*$", code_mail, re.MULTILINE).group(1)
call(sender_service.VerifySender, senders.VerifySenderRequest(sender_id=sender.id, code=code), admin)
call(sender_service.SetFallbackSender, senders.SetFallbackSenderRequest(sender_id=sender.id), admin)
grace = roster.CreateAgentRequest(agent_id=agent_id, name="Grace Hopper", handle="grace", request_id=rid())
call(roster_grpc.RosterServiceStub(assignment).CreateAgent, grace, admin)
flow = flows.Flow(
    steps=[flows.Step(id="hello", say=flows.SayStep(text="Hello from the bot.")), flows.Step(id="team", hand_off=flows.HandOffStep())]
)
bot = call(bots_grpc.BotServiceStub(bot_session).CreateBot, bots.CreateBotRequest(name="Robin", flow=flow, request_id=rid()), admin).bot
channel_service = channels_grpc.ChannelServiceStub(conversation)
shop = channels.CreateChannelRequest(name="Shop", website_url="https://shop.example", bot_id=bot.id, request_id=rid())
channel = call(channel_service.CreateChannel, shop, admin).channel
key = call(channel_service.RotateVisitorKey, channels.RotateVisitorKeyRequest(channel_id=channel.id, request_id=rid()), admin)
print("set up: a sender, an agent, a bot, a channel")

# The visitor's widget.
widget = visitors_grpc.VisitorServiceStub(conversation)
visitor = visitor_token(account, channel.id, key.key.key_id, key.secret, "visitor-1", name="Vera", email=visitor_address)
started = visitors.StartChatRequest(channel_id=channel.id, page_url="https://shop.example/", page_title="Shop", request_id=rid())
chat = call(widget.StartChat, started, visitor).chat


def entries():
    """The chat's entries, across replicas that stop."""
    last = 0
    while True:
        request = visitors.WatchChatRequest(chat_id=chat.id, after_visitor_sequence=last)
        try:
            for response in widget.WatchChat(request, metadata=calling_with(visitor), timeout=60, wait_for_ready=True):
                if response.WhichOneof("update") == "entry":
                    last = response.entry.visitor_sequence
                    yield response.entry
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise


def until(part):
    for entry in shown:
        content = entry.WhichOneof("content")
        if content == "message":
            print(f"{entry.author.name or 'Visitor'}: {entry.message.text}")
        if part(entry, content):
            return


shown = entries()
until(lambda entry, content: content == "message")
call(widget.SendMessage, visitors.SendMessageRequest(chat_id=chat.id, text="Is my bicycle ready?", request_id=rid()), visitor)

# The agent's inbox.
inbox = conversations_grpc.ConversationServiceStub(conversation)
read = conversations.GetConversationRequest(conversation_id=chat.id)
taken_over = assignments_grpc.AssignmentServiceStub(assignment).TakeOverConversation
wait_for("the hand-off", lambda: not call(inbox.GetConversation, read, agent).conversation.HasField("assignee"))
epoch = call(inbox.GetConversation, read, agent).conversation.epoch
call(taken_over, assignments.TakeOverConversationRequest(conversation_id=chat.id, expected_epoch=epoch, request_id=rid()), agent)
reply = threads.PostMessageRequest(conversation_id=chat.id, text="It is, until six.", request_id=rid())
call(threads_grpc.ThreadServiceStub(conversation).PostMessage, reply, agent)
until(lambda entry, content: content == "message" and "until six" in entry.message.text)
call(inbox.CloseConversation, conversations.CloseConversationRequest(conversation_id=chat.id), agent)
until(lambda entry, content: content == "ended")

# The transcript.
mail = wait_for("the transcript", lambda: mail_to(visitor_address))
text = mail.get_body(("plain",)).get_content()
assert all(part in text for part in ("Hello from the bot.", "Is my bicycle ready?", "It is, until six.")), text
print("mailed:", mail["Subject"])
