"""What callers do: visitors chat, an agent answers and closes, programs follow events."""

import os
import re
import sys
import time
import urllib.request
import uuid
from importlib import import_module
from pathlib import Path

# Programs are started while connections are open; gRPC would report it each time.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import grpc

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/clients"))
from installation import SERVICES
from stubs import generate

generate(ROOT / "proto")


def package(name):
    return import_module(f"frontdesk.{name}_pb2"), import_module(f"frontdesk.{name}_pb2_grpc")


assignments, assignments_grpc = package("assignment.v1.assignment_service")
roster, roster_grpc = package("assignment.v1.roster_service")
bots, bots_grpc = package("botsession.v1.bot_service")
attachments, attachments_grpc = package("conversation.v1.attachment_service")
channels, channels_grpc = package("conversation.v1.channel_service")
conversations, conversations_grpc = package("conversation.v1.conversation_service")
threads, threads_grpc = package("conversation.v1.thread_service")
visitors, visitors_grpc = package("conversation.v1.visitor_service")
senders, senders_grpc = package("notification.v1.sender_service")
deliveries, deliveries_grpc = package("notification.v1.delivery_service")
events, events_grpc = package("event.v1.conversation_event_service")
subscription, _ = package("event.v1.subscription")
dev, dev_grpc = package("dev.v1.dev")
conversation, _ = package("conversation.v1.conversation")
error_details = import_module("google.rpc.error_details_pb2")


def new_id():
    return str(uuid.uuid4())


def calling(token):
    return [("authorization", f"Bearer {token}")]


def refused(call):
    """The code and the reason of a call that is refused."""
    try:
        call()
    except grpc.RpcError as error:
        status = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        return error.code().name, next((reason for reason in REASONS if reason.encode() in status), "")
    raise AssertionError("the call was not refused")


REASONS = ("CURSOR_TOO_OLD", "CURSOR_OUT_OF_RANGE", "REQUEST_ID_REUSED", "NOT_FOUND")


def wait_until(what, condition, seconds=180):
    """Asks again until the condition returns something true, which is returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
        time.sleep(0.1)
    raise SystemExit(f"not within {seconds} s: {what}")


class Team:
    """An administrator and an agent with their tokens, a channel without a bot, and one whose bot waits for a minute."""

    def __init__(self, installation):
        self.installation = installation
        self.connect()
        self.agent_id = new_id()
        token = lambda kind, subject: installation.frontdesk("token", "--kind", kind, "--subject", subject)
        self.admin, self.agent = calling(token("admin", "administrator")), calling(token("agent", self.agent_id))
        grace = roster.CreateAgentRequest(agent_id=self.agent_id, name="Grace", handle="grace", request_id=new_id())
        wait_until("the agent is created", lambda: self.stub("assignment", roster_grpc.RosterServiceStub).CreateAgent(grace, metadata=self.admin))
        self.verify_sender()
        self.shop = self.create_channel(no_greeter={})
        flow = {"steps": [
            {"id": "size", "ask": {"text": "Which size?", "property": "size"}},
            {"id": "team", "hand_off": {"text": "A colleague comes.", "reason": "The visitor said the size."}},
        ]}
        new = bots.CreateBotRequest(name="Robin", flow=flow, inactivity_timeout={"seconds": 60}, request_id=new_id())
        bot = self.stub("bot-session", bots_grpc.BotServiceStub).CreateBot(new, metadata=self.admin).bot
        self.greeted = self.create_channel(bot_id=bot.id)

    def connect(self):
        """Connects anew: a connection to servers that were stopped would wait before its next attempt."""
        # With the published retries: each replica answers UNAVAILABLE until it has found the others.
        options = [("grpc.service_config", (ROOT / "proto/service_config.json").read_text())]
        self.connections = {service: grpc.insecure_channel(self.installation.address(service), options) for service in SERVICES}

    def stub(self, service, stub):
        return stub(self.connections[service])

    @property
    def visitor_service(self):
        return self.stub("conversation", visitors_grpc.VisitorServiceStub)

    @property
    def thread_service(self):
        return self.stub("conversation", threads_grpc.ThreadServiceStub)

    @property
    def conversation_service(self):
        return self.stub("conversation", conversations_grpc.ConversationServiceStub)

    def verify_sender(self):
        """The sender of all transcripts."""
        service = self.stub("notification", senders_grpc.SenderServiceStub)
        new = senders.CreateSenderRequest(email="shop@shop.example", display_name="Shop", request_id=new_id())
        sender = service.CreateSender(new, metadata=self.admin).sender
        mail = wait_until("the code is mailed", lambda: self.installation.mail.mails_to("shop@shop.example"))[0]
        text = next(part for part in mail.walk() if part.get_content_type() == "text/plain").get_payload(decode=True).decode()
        code = re.search(r"^\s*(\d{8})\s*$", text, re.MULTILINE).group(1)
        service.VerifySender(senders.VerifySenderRequest(sender_id=sender.id, code=code), metadata=self.admin)
        service.SetFallbackSender(senders.SetFallbackSenderRequest(sender_id=sender.id), metadata=self.admin)

    def create_channel(self, **greeter):
        new = channels.CreateChannelRequest(name="Shop", website_url="https://shop.example", transcript_enabled=True, request_id=new_id(), **greeter)
        return self.stub("conversation", channels_grpc.ChannelServiceStub).CreateChannel(new, metadata=self.admin).channel.id

    def start_chat(self, name, channel=None):
        """A visitor starts a chat. Returns its id."""
        token = self.installation.frontdesk("token", "--kind", "visitor", "--subject", f"{name}-{new_id()}", "--email", f"{name}@visitor.example")
        start = visitors.StartChatRequest(channel_id=channel or self.shop, page_url="https://shop.example/", text=f"This is {name}.", request_id=new_id())
        return self.visitor_service.StartChat(start, metadata=calling(token)).chat.id

    def take_over(self, chat):
        get = conversations.GetConversationRequest(conversation_id=chat)
        epoch = self.conversation_service.GetConversation(get, metadata=self.agent).conversation.epoch
        take = assignments.TakeOverConversationRequest(conversation_id=chat, expected_epoch=epoch, request_id=new_id())
        self.stub("assignment", assignments_grpc.AssignmentServiceStub).TakeOverConversation(take, metadata=self.agent)

    def post(self, chat, text, request_id=None, **content):
        """The agent posts a message. Returns the sequence of its entry."""
        post = threads.PostMessageRequest(conversation_id=chat, text=text, request_id=request_id or new_id(), **content)
        return self.thread_service.PostMessage(post, metadata=self.agent).entry.sequence

    def close(self, chat):
        self.conversation_service.CloseConversation(conversations.CloseConversationRequest(conversation_id=chat, request_id=new_id()), metadata=self.agent)

    def play_chat(self, name):
        """A whole chat, whose transcript is mailed."""
        chat = self.start_chat(name)
        self.take_over(chat)
        self.post(chat, f"Hello, {name}.")
        self.close(chat)
        return chat

    def texts(self, chat):
        texts, after, more = [], 0, True
        while more:
            listed = threads.ListEntriesRequest(conversation_id=chat, after_sequence=after)
            page = self.thread_service.ListEntries(listed, metadata=self.agent)
            texts += [entry.message.text for entry in page.entries if entry.WhichOneof("content") == "message"]
            after, more = page.entries[-1].sequence, page.has_more
        return texts

    def is_open(self, chat):
        get = conversations.GetConversationRequest(conversation_id=chat)
        status = self.conversation_service.GetConversation(get, metadata=self.agent).conversation.status
        return conversation.ConversationStatus.Name(status) == "CONVERSATION_STATUS_OPEN"

    @property
    def attachment_service(self):
        return self.stub("conversation", attachments_grpc.AttachmentServiceStub)

    def attach(self, content):
        """Uploads a file to the library. Returns its id."""
        announced = attachments.CreateAttachmentRequest(file_name="note.txt", size_bytes=len(content), request_id=new_id())
        created = self.attachment_service.CreateAttachment(announced, metadata=self.agent)
        put = urllib.request.Request(created.upload.url, data=content, method="PUT", headers=dict(created.upload.headers))
        urllib.request.urlopen(put).close()
        return created.attachment.id

    def delete_attachment(self, attachment):
        delete = attachments.DeleteAttachmentRequest(attachment_id=attachment, request_id=new_id())
        self.attachment_service.DeleteAttachment(delete, metadata=self.agent)

    def read_attachment(self, attachment):
        link = self.attachment_service.CreateAttachmentLink(attachments.CreateAttachmentLinkRequest(attachment_id=attachment), metadata=self.agent)
        with urllib.request.urlopen(link.url) as answer:
            return answer.read()

    def watch_after(self, chat, sequence):
        """The first update of a watch that begins after an entry."""
        watch = threads.WatchThreadRequest(conversation_id=chat, after_sequence=sequence)
        return next(iter(self.thread_service.WatchThread(watch, metadata=self.agent, timeout=60)))

    def read_events(self, cursor=""):
        """The events after a cursor, or all that are kept, up to the present; and the cursor at its end."""
        start = subscription.EVENT_START_UNSPECIFIED if cursor else subscription.EVENT_START_EARLIEST
        request = events.SubscribeConversationEventsRequest(cursor=cursor, start=start)
        read = []
        for response in self.stub("conversation", events_grpc.ConversationEventServiceStub).SubscribeConversationEvents(request, metadata=self.admin, timeout=30):
            cursor = response.cursor or cursor
            if response.WhichOneof("update") == "published":
                read.append(response.published)
            elif response.WhichOneof("update") == "caught_up":
                return read, cursor
        raise AssertionError("the stream ended")

    def mails(self, name):
        """The Message-IDs of the mails to a visitor."""
        return [mail["Message-ID"] for mail in self.installation.mail.mails_to(f"{name}@visitor.example")]

    def list_deliveries(self, chat):
        listed = deliveries.ListDeliveriesRequest(conversation_id=chat)
        return self.stub("notification", deliveries_grpc.DeliveryServiceStub).ListDeliveries(listed, metadata=self.agent).deliveries

    def advance(self, seconds):
        self.stub("conversation", dev_grpc.ClockServiceStub).AdvanceTime(dev.AdvanceTimeRequest(by={"seconds": seconds}), metadata=self.admin)
