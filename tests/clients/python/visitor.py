"""A visitor's chat with stubs alone: start, send, watch, lose the connection, resume, read refusals.

The environment has ADDRESS, CHANNEL_ID, VISITOR_TOKEN, and EXPIRED_TOKEN, an older token of the same visitor. `cut` on standard output
asks the driver (tests/clients/run.py) to cut the connection; meanwhile the team answers and closes the chat.
"""

import os
import uuid

import grpc
from chat.expect import expect, refused
from frontdesk.conversation.v1 import visitor_service_pb2 as api
from frontdesk.conversation.v1.visitor_service_pb2_grpc import VisitorServiceStub
from grpc import StatusCode
from watch import watch_chat

visitors = VisitorServiceStub(grpc.insecure_channel(os.environ["ADDRESS"]))
caller = [("authorization", f"Bearer {os.environ['VISITOR_TOKEN']}")]
tokens = [os.environ["VISITOR_TOKEN"], os.environ["EXPIRED_TOKEN"]]
openings = 0


def token(renew):
    """The visitor's token. A renewed one comes from your back end."""
    global openings
    openings += 1
    if renew:
        tokens.pop()
    return tokens[-1]


def send_refused(**message):
    """The refusal of a message."""
    request = api.SendMessageRequest(request_id=str(uuid.uuid4()), **message)
    return refused(lambda: visitors.SendMessage(request, metadata=caller, timeout=10))


start = api.StartChatRequest(channel_id=os.environ["CHANNEL_ID"], page_url="https://shop.example/", request_id=str(uuid.uuid4()))
chat = visitors.StartChat(start, metadata=caller, timeout=10).chat
hello = api.SendMessageRequest(chat_id=chat.id, text="Is my bicycle ready?", request_id=str(uuid.uuid4()))
sent = visitors.SendMessage(hello, metadata=caller, timeout=10).entry
expect(visitors.SendMessage(hello, metadata=caller, timeout=10).entry, sent)  # A repeat sends once.

entries = []
for entry in watch_chat(visitors, chat.id, token):
    kind = entry.WhichOneof("content")
    print(f"{entry.visitor_sequence}. {entry.author.name or 'visitor'}: {entry.message.text or kind}")
    entries.append(entry)
    expect(entry.visitor_sequence, len(entries))  # No gap, no repeat.
    if entry.request_id == hello.request_id:
        print("cut", chat.id, flush=True)
    if kind == "ended":
        break
texts = [entry.message.text for entry in entries if entry.WhichOneof("content") == "message"]
expect(texts, ["Is my bicycle ready?", "Nearly.", "Now it is."])
expect(openings > 2, True)  # With the expired token, with the new one, after the cut.

closed = send_refused(chat_id=chat.id, text="Thank you!")
expect(closed[:2], (StatusCode.FAILED_PRECONDITION, "CONVERSATION_CLOSED"))
expect(closed.metadata["close_number"], "1")
invalid = send_refused(chat_id="x", text="\x01")
expect(invalid[:2], (StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS"))
expect(set(invalid.fields), {"chat_id", "text"})
print("done")
