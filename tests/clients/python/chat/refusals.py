"""Refusals and what a program reads in them."""

import time

from frontdesk.conversation.v1 import visitor_service_pb2 as api
from grpc import StatusCode

from .connect import new_id
from .expect import expect, refused


def play_invalid(page):
    """Has a message refused whose fields are invalid, and reads which."""
    invalid = refused(lambda: page.call("SendMessage", api.SendMessageRequest(chat_id="x", text="\x01", request_id=new_id())))
    expect(invalid[:2], (StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS"))
    expect(set(invalid.fields), {"chat_id", "text"})


def play_too_often(page):
    """Calls until the rate limit of the visitor refuses a call, and waits for as long as the refusal says."""

    def call(times):
        for _ in range(times):
            page.call("GetWidget", api.GetWidgetRequest(channel_id=page.channel_id))

    limited = refused(lambda: call(2000))
    expect(limited[:2], (StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"))
    expect(limited.metadata["whose"], "caller")
    expect(limited.retry_delay > 0, True)
    time.sleep(limited.retry_delay)
    call(1)
