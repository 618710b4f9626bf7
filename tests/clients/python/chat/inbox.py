"""A channel's open conversations, as an agent's program shows them."""

import random
import time

import grpc
from frontdesk.conversation.v1 import conversation_pb2, conversation_service_pb2 as api
from frontdesk.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub
from refusal import read_refusal
from watch import FINAL

from .connect import calling


class Inbox:
    """A list, and watches that go on from where it was read. `lost` is called when a stream has ended."""

    def __init__(self, connection, streams, token, channel_id):
        self.watched, self.token, self.lost = ConversationServiceStub(streams), token, lambda: None
        self.request = api.ListConversationsRequest(channel_ids=[channel_id], statuses=[conversation_pb2.CONVERSATION_STATUS_OPEN])
        page = ConversationServiceStub(connection).ListConversations(self.request, metadata=calling(token), timeout=30)
        self.rows, self.cursor = {row.conversation.id: row for row in page.rows}, page.watch_cursor

    def watch_until(self, wanted):
        """Keeps the rows up to date, across lost connections, until they are as wanted."""
        pause = 0.25
        while True:
            delay = 0
            stream = self.watched.WatchInbox(api.WatchInboxRequest(inbox=self.request, cursor=self.cursor), metadata=calling(self.token))
            try:
                for response in stream:
                    pause = 0.25
                    self.update(response)
                    if wanted(self.rows):
                        return
            except grpc.RpcError as error:
                refusal = read_refusal(error)
                if refusal.code in FINAL:
                    raise
                delay = refusal.retry_delay
            finally:
                stream.cancel()
            self.lost()
            time.sleep(delay + random.uniform(0, pause))
            pause = min(2 * pause, 30)

    def update(self, response):
        self.cursor = response.cursor or self.cursor
        kind = response.WhichOneof("update")
        if kind == "row":  # Others are skipped, also those of later versions.
            row = response.row
            shown = self.rows.get(row.conversation.id)
            if not shown or shown.conversation.version <= row.conversation.version:
                self.rows[row.conversation.id] = row
        elif kind == "gone_conversation_id":
            self.rows.pop(response.gone_conversation_id, None)


def last_text(rows, conversation_id):
    """The text of the newest message of a conversation."""
    return rows[conversation_id].last_entry.message.text if conversation_id in rows else ""
