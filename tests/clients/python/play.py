"""Plays one chat from the greeting to the mailbox, with stubs generated from the protos.

    python play.py --protos proto --address 127.0.0.1:7700

Tokens come from the environment: ADMIN_TOKEN, AGENT_TOKEN (of the agent AGENT_ID), VISITOR_TOKEN.
"""

import argparse
import asyncio
import email
import email.policy
import os
import re
import sys
import threading
import time
import urllib.request
import uuid
from importlib import import_module
from pathlib import Path

import grpc
from refusal import read_refusal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scene import Line
from stubs import generate

arguments = argparse.ArgumentParser()
arguments.add_argument("--protos", required=True)
arguments.add_argument("--address", default="127.0.0.1:7700")
arguments = arguments.parse_args()

generate(arguments.protos)


def package(name):
    return import_module(f"frontdesk.{name}_pb2"), import_module(f"frontdesk.{name}_pb2_grpc")


attachments, attachments_grpc = package("conversation.v1.attachment_service")
attachment, _ = package("conversation.v1.attachment")
bots, bots_grpc = package("botsession.v1.bot_service")
flows, _ = package("botsession.v1.flow")
channels, channels_grpc = package("conversation.v1.channel_service")
conversation, _ = package("conversation.v1.conversation")
inserts, inserts_grpc = package("conversation.v1.insert_service")
insert, _ = package("conversation.v1.insert")
entry, _ = package("conversation.v1.entry")
rich, _ = package("conversation.v1.rich_text")
conversations, conversations_grpc = package("conversation.v1.conversation_service")
threads, threads_grpc = package("conversation.v1.thread_service")
visitors, visitors_grpc = package("conversation.v1.visitor_service")
roster, roster_grpc = package("assignment.v1.roster_service")
assignments, assignments_grpc = package("assignment.v1.assignment_service")
senders, senders_grpc = package("notification.v1.sender_service")
transcripts, transcripts_grpc = package("notification.v1.transcript_service")
deliveries, _ = package("notification.v1.delivery")
dev, dev_grpc = package("dev.v1.dev")

channel = grpc.insecure_channel(arguments.address)

# The inbox is watched over a line that can be cut.
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
line = Line(arguments.address)
asyncio.run_coroutine_threadsafe(line.start(), loop).result()
cuttable = grpc.insecure_channel(line.address, [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)])


async def cut():
    line.cut()


def calling_as(who):
    return [("authorization", f"Bearer {os.environ[who]}")]


admin, agent, visitor = calling_as("ADMIN_TOKEN"), calling_as("AGENT_TOKEN"), calling_as("VISITOR_TOKEN")


def rid():
    return str(uuid.uuid4())


def wait_for(what, ask):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise SystemExit(f"waited in vain for {what}")


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        return read_refusal(error)
    raise SystemExit("a call that should be refused was not")


# An administrator sets up: a verified sender, an agent, a bot, a channel.
mailbox = dev_grpc.MailboxServiceStub(channel)
senders_stub = senders_grpc.SenderServiceStub(channel)
address = f"python-{uuid.uuid4()}@shop.example"
visitor_address = f"guido-{uuid.uuid4()}@visitor.example"
sender = senders_stub.CreateSender(senders.CreateSenderRequest(email=address, display_name="Shop", request_id=rid()), metadata=admin).sender


def mails(recipient):
    return mailbox.ListMails(dev.ListMailsRequest(recipient_email=recipient), metadata=admin).mails


def parsed(mail):
    return email.message_from_bytes(mail.content, policy=email.policy.default)


code_mail = parsed(wait_for("the code", lambda: mails(address))[0])
code = re.search(r"^\s*(\d{8})\s*$", code_mail.get_body(("plain",)).get_content(), re.MULTILINE).group(1)
senders_stub.VerifySender(senders.VerifySenderRequest(sender_id=sender.id, code=code), metadata=admin)
senders_stub.SetFallbackSender(senders.SetFallbackSenderRequest(sender_id=sender.id), metadata=admin)
roster_grpc.RosterServiceStub(channel).CreateAgent(
    roster.CreateAgentRequest(agent_id=os.environ["AGENT_ID"], name="Grace Hopper", handle=f"grace-{uuid.uuid4().hex[:12]}", request_id=rid()), metadata=admin
)
flow = flows.Flow(
    steps=[
        flows.Step(id="hello", say=flows.SayStep(text="Hello from the bot.")),
        flows.Step(id="address", ask=flows.AskStep(text="Your address, please?", property="email")),
        flows.Step(
            id="wait",
            buttons=flows.ButtonsStep(text="Thank you.", buttons=[flows.FlowButton(id="team", label="A person")]),
        ),
        flows.Step(id="team", hand_off=flows.HandOffStep()),
    ]
)
bot = bots_grpc.BotServiceStub(channel).CreateBot(bots.CreateBotRequest(name="Robin", flow=flow, request_id=rid()), metadata=admin).bot
shop = channels_grpc.ChannelServiceStub(channel).CreateChannel(
    channels.CreateChannelRequest(
        name="Shop", website_url="https://shop.example", bot_id=bot.id, request_id=rid()
    ),
    metadata=admin,
).channel
print("set up: sender, agent, bot, channel")


class OpenChats:
    """The channel's open conversations, as the agent's program shows them: a list, and watches that go on where it was read."""

    def __init__(self):
        self.openings = 0
        self.request = conversations.ListConversationsRequest(
            channel_ids=[shop.id], statuses=[conversation.CONVERSATION_STATUS_OPEN]
        )
        page = inbox.ListConversations(self.request, metadata=agent)
        self.rows, self.cursor = {row.conversation.id: row for row in page.rows}, page.watch_cursor

    def watch_until(self, part):
        """Watches on from the last cursor, across lost connections, until `part` holds, and ends the stream."""
        while True:
            self.openings += 1
            request = conversations.WatchInboxRequest(inbox=self.request, cursor=self.cursor)
            updates = watched_inbox.WatchInbox(request, metadata=agent, timeout=60, wait_for_ready=True)
            try:
                for response in updates:
                    self.cursor = response.cursor or self.cursor
                    kind = response.WhichOneof("update")
                    if kind == "row":
                        self.rows[response.row.conversation.id] = response.row
                    elif kind == "gone_conversation_id":
                        self.rows.pop(response.gone_conversation_id, None)
                    if part(self.rows):
                        updates.cancel()
                        return
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise


inbox = conversations_grpc.ConversationServiceStub(channel)
watched_inbox = conversations_grpc.ConversationServiceStub(cuttable)
open_chats = OpenChats()
assert not open_chats.rows

# The visitor starts; the bot greets; the visitor answers.
widget = visitors_grpc.VisitorServiceStub(channel)
chat = widget.StartChat(
    visitors.StartChatRequest(channel_id=shop.id, page_url="https://shop.example/python", page_title="Python", request_id=rid()),
    metadata=visitor,
).chat
updates = widget.WatchChat(visitors.WatchChatRequest(chat_id=chat.id), metadata=visitor, timeout=60)


def until(part):
    for response in updates:
        if response.WhichOneof("update") != "entry":
            continue
        entry = response.entry
        content = entry.WhichOneof("content")
        text = f"{entry.author.name or 'visitor'}: {entry.message.text}" if content == "message" else f"({content})"
        print(f"  {entry.visitor_sequence}. {text}")
        if part(entry):
            return entry
    raise SystemExit("the stream ended")


until(lambda entry: "Your address" in entry.message.text)
widget.SendMessage(visitors.SendMessageRequest(chat_id=chat.id, text=visitor_address, request_id=rid()), metadata=visitor)
until(lambda entry: "Thank you" in entry.message.text)
empty = refused(lambda: widget.SendMessage(visitors.SendMessageRequest(chat_id="x", text="\x01", request_id=rid()), metadata=visitor))
assert empty.code == grpc.StatusCode.INVALID_ARGUMENT and set(empty.fields) == {"chat_id", "text"}, empty

# The agent takes over, replies, closes.
open_chats.watch_until(lambda rows: chat.id in rows and "Thank you" in rows[chat.id].last_entry.message.text)
thread = threads_grpc.ThreadServiceStub(channel)
reply = threads.PostMessageRequest(conversation_id=chat.id, text="Hello, Grace here.", request_id=rid())
in_charge = refused(lambda: thread.PostMessage(reply, metadata=agent))
assert in_charge[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "BOT_IN_CHARGE"), in_charge
epoch = inbox.GetConversation(conversations.GetConversationRequest(conversation_id=chat.id), metadata=agent).conversation.epoch
assignments_grpc.AssignmentServiceStub(channel).TakeOverConversation(
    assignments.TakeOverConversationRequest(conversation_id=chat.id, expected_epoch=epoch, request_id=rid()), metadata=agent
)
reply.request_id = rid()
first = thread.PostMessage(reply, metadata=agent).entry
assert thread.PostMessage(reply, metadata=agent).entry == first, "a retry posts once"
until(lambda entry: "Grace here" in entry.message.text)

# The agent's connection is cut, and meanwhile the visitor writes. The watch goes on from its cursor, and the program shows what a new list has.
written = []


def shows_what_was_written(rows):
    if not written:
        asyncio.run_coroutine_threadsafe(cut(), loop).result()
        squeaks = visitors.SendMessageRequest(chat_id=chat.id, text="It squeaks.", request_id=rid())
        written.append(widget.SendMessage(squeaks, metadata=visitor).entry)
        line.down = False
    return rows[chat.id].last_entry.message.text == "It squeaks."


opened = open_chats.openings
open_chats.watch_until(shows_what_was_written)
assert open_chats.openings > opened + 1, "the connection was cut"
listed = inbox.ListConversations(open_chats.request, metadata=agent).rows
versions = [{row.conversation.id: row.conversation.version for row in rows} for rows in (listed, open_chats.rows.values())]
assert versions[0] == versions[1], versions
print("followed the inbox across a cut connection")

# The agent's back end uploads a file, which goes with an insert of the library and a rich text; a comment mentions a colleague.
prices = b"front wheel,20\nrear wheel,25\n"
files = attachments_grpc.AttachmentServiceStub(channel)
created = files.CreateAttachment(
    attachments.CreateAttachmentRequest(conversation_id=chat.id, file_name="prices.csv", size_bytes=len(prices), request_id=rid()), metadata=agent
)
put = urllib.request.Request(created.upload.url, data=prices, method="PUT", headers=dict(created.upload.headers))
assert urllib.request.urlopen(put).status == 200
stored = files.GetAttachment(attachments.GetAttachmentRequest(attachment_id=created.attachment.id), metadata=agent).attachment
assert (stored.status, stored.media_type) == (attachment.ATTACHMENT_STATUS_READY, "text/csv"), stored
greeting = inserts_grpc.InsertServiceStub(channel).CreateInsert(
    inserts.CreateInsertRequest(title="Opening hours", snippet=insert.Snippet(text="{{agent.name}} is here until six."), request_id=rid()), metadata=agent
).insert
link = rich.RichTextSpan(text="All prices", link_url="https://shop.example/prices")
everything = threads.PostMessageRequest(
    conversation_id=chat.id,
    rich_text=rich.RichText(blocks=[rich.RichTextBlock(paragraph=rich.RichTextLine(spans=[link]))]),
    insert_ids=[greeting.id],
    attachment_ids=[stored.id],
    request_id=rid(),
)
thread.PostMessage(everything, metadata=agent)
seen = until(lambda entry: entry.message.attachments)
assert seen.message.text == "All prices (https://shop.example/prices)", seen
assert [one.plain_text for one in seen.message.inserts] == ["Grace Hopper is here until six."], seen
to_open = visitors.CreateChatAttachmentLinkRequest(
    chat_id=chat.id, visitor_sequence=seen.visitor_sequence, attachment_id=seen.message.attachments[0].attachment_id
)
with urllib.request.urlopen(widget.CreateChatAttachmentLink(to_open, metadata=visitor).url) as download:
    assert download.read() == prices and "prices.csv" in download.headers["content-disposition"]
mention = entry.Mention(start=0, length=6, agent_id=os.environ["AGENT_ID"])
thread.PostComment(
    threads.PostCommentRequest(conversation_id=chat.id, text="@Grace: a squeaking saddle, too", mentions=[mention], request_id=rid()), metadata=agent
)


def found(query):
    page = inbox.SearchConversations(conversations.SearchConversationsRequest(query=query), metadata=agent)
    return [match for match in page.matches if match.row.conversation.id == chat.id]


assert wait_for("the index", lambda: found("squeaking sad"))
print("sent: a file, an insert, a rich text; mentioned; found by words")
inbox.CloseConversation(conversations.CloseConversationRequest(conversation_id=chat.id), metadata=agent)
until(lambda entry: entry.WhichOneof("content") == "ended")
open_chats.watch_until(lambda rows: chat.id not in rows)

# The transcript is decided, explained and mailed.
explain = transcripts_grpc.TranscriptServiceStub(channel)


def explained():
    try:
        answer = explain.ExplainTranscript(transcripts.ExplainTranscriptRequest(conversation_id=chat.id), metadata=agent)
        return answer if answer.delivery.status == deliveries.DELIVERY_STATUS_SENT else None
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        return None


answer = wait_for("the transcript", explained)
assert answer.decision.send, answer
print("decision:", answer.decision.explanation)
received = mails(visitor_address)
assert len(received) == 1, received
mail = parsed(received[0])
assert not mail.defects, mail.defects
body = mail.get_body(("plain",)).get_content()
assert all(part in body for part in ("Hello from the bot.", "Grace Hopper", "prices.csv", "until six", "https://shop.example/python")), body
print("transcript in the mailbox:", mail["Subject"])
