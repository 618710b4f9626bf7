"""A bot as a program: it watches the turns of its sessions and answers them, with stubs generated from the protos.

    python engine.py --protos proto --address 127.0.0.1:7700

It plays both sides of one chat: BOT_TOKEN is of the bot that greets on the channel CHANNEL_ID, VISITOR_TOKEN of a visitor. With
ADMIN_TOKEN it validates the flows in the files that are its further arguments.
"""

import argparse
import os
import sys
import uuid
from importlib import import_module
from pathlib import Path

import grpc
from google.protobuf import json_format

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from stubs import generate

arguments = argparse.ArgumentParser()
arguments.add_argument("--protos", required=True)
arguments.add_argument("--address", default="127.0.0.1:7700")
arguments.add_argument("flows", nargs="*")
arguments = arguments.parse_args()

generate(arguments.protos)


def package(name):
    return import_module(f"frontdesk.{name}_pb2"), import_module(f"frontdesk.{name}_pb2_grpc")


actor, _ = package("actor.v1.actor")
engines, engines_grpc = package("botsession.v1.bot_engine_service")
bots, bots_grpc = package("botsession.v1.bot_service")
visitors, visitors_grpc = package("conversation.v1.visitor_service")

channel = grpc.insecure_channel(arguments.address)
engine = engines_grpc.BotEngineServiceStub(channel)
widget = visitors_grpc.VisitorServiceStub(channel)


def calling_as(who):
    return [("authorization", f"Bearer {os.environ[who]}")]


bot, visitor = calling_as("BOT_TOKEN"), calling_as("VISITOR_TOKEN")


def rid():
    return str(uuid.uuid4())


def answer(turn, parts, ends_turn):
    """Sends parts of the answer. After a lost response the call is repeated with its request id."""
    request = engines.AnswerTurnRequest(turn_id=turn.id, attempt=turn.attempt, parts=parts, ends_turn=ends_turn, request_id=rid())
    for last in (False, False, True):
        try:
            return engine.AnswerTurn(request, metadata=bot)
        except grpc.RpcError as error:
            if last or error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise


def say(text):
    return engines.TurnPart(message=engines.TurnMessage(text=text))


def asked(turn):
    """What the visitor wrote since the previous turn."""
    texts, after, more = [], turn.previous_sequence, True
    while more:
        page = engine.ListTurnEntries(engines.ListTurnEntriesRequest(turn_id=turn.id, after_sequence=after), metadata=bot)
        texts += [entry.message.text for entry in page.entries if entry.author.kind == actor.ACTOR_KIND_VISITOR]
        after, more = page.last_sequence, page.has_more
    return texts


def turns():
    """Yields turns. A program that runs for long calls again when the stream ends; see watch.py."""
    for response in engine.WatchTurns(engines.WatchTurnsRequest(max_turns=4), metadata=bot, timeout=60):
        if response.WhichOneof("update") == "turn":  # Others are skipped, also those of later versions.
            yield response.turn


for path in arguments.flows:
    request = bots.ValidateFlowRequest()
    json_format.Parse(Path(path).read_text(), request.flow)
    problems = bots_grpc.BotServiceStub(channel).ValidateFlow(request, metadata=calling_as("ADMIN_TOKEN")).problems
    assert not problems, (path, problems)
    print("valid:", Path(path).name)

start = visitors.StartChatRequest(channel_id=os.environ["CHANNEL_ID"], page_url="https://shop.example/engine", page_title="Engine", request_id=rid())
chat = widget.StartChat(start, metadata=visitor).chat
waiting = turns()

# The session started: a model that streams sends a part for each sentence.
first = next(waiting)
assert (first.number, first.attempt) == (1, 1), first
assert answer(first, [say("Hello, I am a program.")], False).HasField("deadline_time")
assert not answer(first, [say("Ask me anything.")], True).HasField("deadline_time")

# The visitor asks, and the bot hands off.
widget.SendMessage(visitors.SendMessageRequest(chat_id=chat.id, text="A person, please", request_id=rid()), metadata=visitor)
second = next(waiting)
assert second.number == 2 and asked(second) == ["A person, please"], second
reason = engines.TurnPart(hand_off=engines.TurnHandOff(reason="The visitor asked for a person."))
answer(second, [say("A colleague comes."), reason], True)

seen = []
for response in widget.WatchChat(visitors.WatchChatRequest(chat_id=chat.id), metadata=visitor, timeout=60):
    if response.WhichOneof("update") == "entry" and response.entry.WhichOneof("content") == "message":
        seen.append(response.entry.message.text)
    if seen[-1:] == ["A colleague comes."]:
        break
assert seen == ["Hello, I am a program.", "Ask me anything.", "A person, please", "A colleague comes."], seen
print("the engine answered and handed off")
