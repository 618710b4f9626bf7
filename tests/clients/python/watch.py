"""Watches a chat across lost connections, without a gap or repeat."""

import random
import time

import grpc
from frontdesk.conversation.v1.visitor_service_pb2 import WatchChatRequest
from grpc import StatusCode
from refusal import read_refusal

# Codes that another try does not change.
FINAL = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.PERMISSION_DENIED,
    StatusCode.OUT_OF_RANGE,
    StatusCode.UNIMPLEMENTED,
}


def watch_chat(visitors, chat_id, token, after=0):
    """Yields the entries after a visitor sequence, without end. `token(renew)` returns a token, a new one if `renew`."""
    pause, renew = 0.25, False
    while True:
        delay = 0
        try:
            request = WatchChatRequest(chat_id=chat_id, after_visitor_sequence=after)
            for response in visitors.WatchChat(request, metadata=[("authorization", f"Bearer {token(renew)}")]):
                pause, renew = 0.25, False
                if response.WhichOneof("update") == "entry":  # Others are skipped, also those of later versions.
                    after = response.entry.visitor_sequence
                    yield response.entry
        except grpc.RpcError as error:
            refusal = read_refusal(error)
            if refusal.code in FINAL or (renew and refusal.code is StatusCode.UNAUTHENTICATED):
                raise
            renew, delay = refusal.code is StatusCode.UNAUTHENTICATED, refusal.retry_delay
        time.sleep(delay + random.uniform(0, pause))
        pause = min(2 * pause, 30)
