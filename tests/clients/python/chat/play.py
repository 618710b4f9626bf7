"""The play, in its order.

The environment has ADDRESS, ACCOUNT_ID, CHANNEL_ID, KEY_ID and KEY_SECRET, AGENT_ID and AGENT_TOKEN, BOT_TOKEN of the bot that
greets, and ADMIN_TOKEN for its events. `cut` on standard output asks the driver (tests/clients/scene.py) to cut the connections to ADDRESS, and to refuse new ones for
half a second.
"""

import os
import threading
import uuid

from frontdesk.conversation.v1 import rich_text_pb2 as rich
from frontdesk.event.v1.conversation_event_service_pb2_grpc import ConversationEventServiceStub
from frontdesk.event.v1.subscription_pb2 import EVENT_START_LATEST
from grpc import StatusCode

from .agent import Agent
from .connect import connect, connect_streams, new_id
from .engine import Engine, hand_off, say
from .event_log import EventLog
from .expect import expect, refused
from .follow import follow
from .inbox import Inbox, last_text
from .refusals import play_invalid, play_too_often
from .visitor_token import Issuer
from .webhook_receiver import WebhookReceiver
from .webhooks import play_forged, post_to, stop_posting
from .widget import Widget


def answer_turn(engine, turn, over):
    """Greets in two parts, repeats what the visitor wrote, and hands off to a person."""
    if turn.number == 1:
        greeting = ["Hello, I am a program.", "Ask me anything."]
        # Another attempt goes on after the parts that were sent.
        for at in range(turn.sent_parts, len(greeting)):
            engine.send(turn, over, at == len(greeting) - 1, say(greeting[at]))
        return
    text = "\n".join(engine.asked(turn))
    if "person" in text:
        engine.send(turn, over, True, say("A colleague comes."), hand_off("The visitor asked for a person."))
    else:
        engine.send(turn, over, True, say(f"You wrote: {text}"))


settings = os.environ
connection, streams = connect(settings["ADDRESS"]), connect_streams(settings["ADDRESS"])

# The back end signs a token for each visitor.
issuer = Issuer(settings["ACCOUNT_ID"], settings["CHANNEL_ID"], settings["KEY_ID"], settings["KEY_SECRET"])
visitor = f"vera-{uuid.uuid4()}"
signed = issuer.visitor_token(visitor, name="Vera", email=f"{visitor}@visitor.example")
page = Widget(connection, streams, signed, issuer.channel)

# The back end follows the events from now on, by a stream and by webhooks.
by_stream, by_webhook = EventLog(), EventLog()
caught_up, openings = threading.Event(), []


def admin_token():
    openings.append("opened")  # Each stream asks for a token.
    return settings["ADMIN_TOKEN"]


def follow_events():
    for update in follow(ConversationEventServiceStub(streams), admin_token, EVENT_START_LATEST):
        kind = update.WhichOneof("update")
        if kind == "published":  # Others are skipped, also those of later versions.
            event = update.published
            by_stream.add(event.id, event.aggregate_id, event.version, event.SerializeToString())
        elif kind == "caught_up":
            caught_up.set()


threading.Thread(target=follow_events, daemon=True).start()
expect(caught_up.wait(30), True)
receiver = WebhookReceiver(lambda event, body: by_webhook.add(event["id"], event["aggregateId"], event["version"], body))
endpoint_id = post_to(receiver, connection, settings["ADMIN_TOKEN"])
play_forged(receiver)

# The bot's program runs beside.
engine = Engine(streams, settings["BOT_TOKEN"], 2, answer_turn)
running = threading.Thread(target=engine.run, daemon=True)
running.start()

# The agent's program shows the channel's open chats. There are none.
open_chats = Inbox(connection, streams, settings["AGENT_TOKEN"], issuer.channel)
expect(open_chats.rows, {})

# The visitor starts; the bot greets, and answers a message that brings a file.
page.start()
first = page.chat.id
page.until_text("Ask me anything.")
page.send("Is this tyre worn?", page.attach("tyre.txt", b"It lost air twice."))
expect(page.open(page.until_text("Is this tyre worn?")), b"It lost air twice.")
page.until_text("You wrote: Is this tyre worn?")
play_invalid(page)

# The agent takes over from the bot. A repeat of a message posts it once.
grace = Agent(connection, settings["AGENT_TOKEN"], settings["AGENT_ID"], first)
open_chats.watch_until(lambda rows: last_text(rows, first) == "You wrote: Is this tyre worn?")
in_charge = refused(lambda: grace.post(text="Hello, Grace here."))
expect(in_charge[:2], (StatusCode.FAILED_PRECONDITION, "BOT_IN_CHARGE"))
grace.take_over()
reply = {"text": "Hello, Grace here.", "request_id": new_id()}
posted = grace.post(**reply)
expect(grace.post(**reply), posted)
page.until_text("Hello, Grace here.")

# All connections are cut. The visitor's message is repeated by the service config until it is sent; the inbox goes on from its
# cursor and the chat from its last entry.
happened = []


def lost():
    if "lost" not in happened:
        happened.append("lost")
        page.send("It squeaks.")


def squeaks(rows):
    if "cut" not in happened:
        happened.append("cut")
        print("cut", flush=True)
    return last_text(rows, first) == "It squeaks."


open_chats.lost = lost
open_chats.watch_until(squeaks)
expect(happened, ["cut", "lost"])
page.until_text("It squeaks.")
listed = Inbox(connection, streams, settings["AGENT_TOKEN"], issuer.channel)
expect(open_chats.rows[first].conversation.version, listed.rows[first].conversation.version)

# The agent sends a file, an insert and a rich text, mentions a colleague, and finds the conversation by words.
prices = b"front wheel,20\nrear wheel,25\n"
link = rich.RichTextSpan(text="All prices", link_url="https://shop.example/prices")
grace.post(
    rich_text=rich.RichText(blocks=[rich.RichTextBlock(paragraph=rich.RichTextLine(spans=[link]))]),
    insert_ids=[grace.insert()],
    attachment_ids=[grace.attach("prices.csv", prices)],
)
seen = page.until_text("All prices (https://shop.example/prices)")
expect([insert.plain_text for insert in seen.message.inserts], ["Grace is here until six."])
expect(page.open(seen), prices)
grace.mention(grace.id)
grace.search("squeaking sad")

# The agent closes, and reads the transcript, which has no comments.
grace.close()
page.until_ended()
open_chats.watch_until(lambda rows: first not in rows)
closed = refused(lambda: page.send("Thank you!"))
expect(closed[:2], (StatusCode.FAILED_PRECONDITION, "CONVERSATION_CLOSED"))
transcript = grace.preview()
for part in ("Ask me anything.", "Is this tyre worn?", "tyre.txt", "It squeaks.", "prices.csv", "Grace is here until six."):
    expect((part, part in transcript), (part, True))
expect("squeaking saddle" in transcript, False)

# The visitor starts a new conversation, and the bot hands it off.
page.start()
expect(page.chat.previous_chat_id, first)
page.until_text("Ask me anything.")
page.send("A person, please")
page.until_text("A colleague comes.")
again = Agent(connection, settings["AGENT_TOKEN"], grace.id, page.chat.id)
again.close()
page.until_ended()
page.stop()
engine.stop()
running.join(10)

# Each event of both conversations came, in order, by the stream, over the cut, and by webhooks. None has a text, a name or an address.
expect(len(openings) > 1, True)
for log in (by_stream, by_webhook):
    for agent in (grace, again):
        log.expect_all(agent.conversation_id, agent.conversation().version)
    log.expect_none(["Vera", "Grace", "@visitor.example", "shop.example", "tyre", "squeak", "prices", "Ask me anything"])
stop_posting(endpoint_id, connection, settings["ADMIN_TOKEN"])

play_too_often(Widget(connection, streams, issuer.visitor_token(f"hurried-{visitor}"), issuer.channel))
print("done")
