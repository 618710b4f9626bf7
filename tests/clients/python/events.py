"""Reads Frontdesk's events from NATS and handles each once, across lost connections. docs/events.md explains what they are.

The environment has NATS_URL, NATS_USER, which is also the name of the consumer, NATS_PASSWORD, and STREAM, such as
FRONTDESK_CONVERSATION. The program ends after the first event of the type UNTIL.
"""

import asyncio
import os
from pkgutil import iter_modules

import frontdesk.event.v1
import nats
from google.protobuf import descriptor_pool, message_factory

# The stubs of all events, so that their types are known by name.
for module in iter_modules(frontdesk.event.v1.__path__):
    __import__(f"frontdesk.event.v1.{module.name}")

# Ids of the events that were handled. In your program: a table, written in the transaction of the effect.
handled = set()


def decode(message):
    """The message of the event. None: its type is newer than these stubs."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(message.headers["ce-type"])
    except KeyError:
        return None
    return message_factory.GetMessageClass(descriptor).FromString(message.data)


def handle(headers, event):
    """Your effect. Of two events of an aggregate, the one with the higher version is newer."""
    name = event.DESCRIPTOR.name if event is not None else f"unknown {headers['ce-type']}"
    print(name, headers["ce-aggregatetype"], headers["ce-aggregateid"], headers["ce-aggregateversion"], flush=True)


async def read(connection, consumer, stream, until):
    """Handles and acknowledges the events of a consumer, up to the first one of the type `until`."""
    subscription = await connection.jetstream(prefix="JS.FRONTDESK.API").pull_subscribe_bind(consumer, stream)
    while True:
        try:
            messages = await subscription.fetch(batch=16, timeout=5)
        except asyncio.TimeoutError:
            continue  # There is no new event.
        except nats.errors.Error:  # The connection was lost: the client makes a new one.
            await asyncio.sleep(0.25)
            continue
        for message in messages:
            if message.headers["ce-id"] in handled:
                print("again", message.headers["ce-id"], flush=True)
            else:
                handle(message.headers, decode(message))
                handled.add(message.headers["ce-id"])
            try:
                await message.ack()
            except nats.errors.Error:
                pass  # The event comes again.
            if message.headers["ce-type"] == until:
                return


async def main():
    user = os.environ["NATS_USER"]
    connection = await nats.connect(
        os.environ["NATS_URL"], user=user, password=os.environ["NATS_PASSWORD"], inbox_prefix=f"_INBOX_{user}",
        max_reconnect_attempts=-1, reconnect_time_wait=0.25,
    )
    await read(connection, user, os.environ["STREAM"], os.environ["UNTIL"])
    await connection.drain()  # Sends the last acknowledgement.
    print("done", flush=True)


asyncio.run(main())
