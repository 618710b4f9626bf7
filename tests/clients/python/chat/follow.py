"""Follows the events of an account, across lost connections."""

import random
import time

import grpc
from frontdesk.event.v1.conversation_event_service_pb2 import SubscribeConversationEventsRequest
from refusal import read_refusal
from watch import FINAL


def follow(events, token, start, cursor=""):
    """Yields the updates after a cursor, without end. Without one they begin at `start`. `token()` returns a token."""
    pause = 1
    while True:
        delay, request = 0, SubscribeConversationEventsRequest(cursor=cursor, start=start)
        try:
            for update in events.SubscribeConversationEvents(request, metadata=[("authorization", f"Bearer {token()}")]):
                pause = 1
                yield update  # The program that handles it stores its cursor, in the same transaction.
                cursor = update.cursor
        except grpc.RpcError as error:
            refusal = read_refusal(error)
            if refusal.code in FINAL:  # For example CURSOR_TOO_OLD.
                raise
            delay = refusal.retry_delay
        time.sleep(delay + random.uniform(pause / 2, pause))
        pause = min(2 * pause, 30)
