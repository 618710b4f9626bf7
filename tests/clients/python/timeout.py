"""Runs the example of a test that waits for no timeout, as services/bot-session/README.md shows it.

    python timeout.py --protos proto --address 127.0.0.1:7700 --readme services/bot-session/README.md

AGENT_TOKEN is of an agent; VISITOR_TOKEN of a visitor of the channel CHANNEL_ID, whose bot has a timeout of 30 minutes.
"""

import argparse
import os
import re
import sys
import time
import uuid
from importlib import import_module
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from stubs import generate

arguments = argparse.ArgumentParser()
arguments.add_argument("--protos", required=True)
arguments.add_argument("--address", default="127.0.0.1:7700")
arguments.add_argument("--readme", required=True)
arguments = arguments.parse_args()

generate(arguments.protos)

section = Path(arguments.readme).read_text().split("\n## Test a timeout in milliseconds\n")[1].split("\n## ")[0]
example = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL).group(1)


def calling_as(who):
    return [("authorization", f"Bearer {os.environ[who]}")]


visitors = import_module("frontdesk.conversation.v1.visitor_service_pb2")
widget = import_module("frontdesk.conversation.v1.visitor_service_pb2_grpc")
channel = grpc.insecure_channel(arguments.address)
visitor = calling_as("VISITOR_TOKEN")
start = visitors.StartChatRequest(channel_id=os.environ["CHANNEL_ID"], page_url="https://shop.example/timeout", request_id=str(uuid.uuid4()))
chat = widget.VisitorServiceStub(channel).StartChat(start, metadata=visitor).chat

began = time.monotonic()
exec(compile(example, arguments.readme, "exec"), {"channel": channel, "agent": calling_as("AGENT_TOKEN"), "visitor": visitor, "chat_id": chat.id})
took = time.monotonic() - began
assert took < 20, took
print(f"the chat was closed after 30 minutes, in {took * 1000:.0f} ms")
