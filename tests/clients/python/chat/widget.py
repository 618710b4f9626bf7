"""What a page does for its visitor."""

from frontdesk.conversation.v1 import visitor_service_pb2 as api
from frontdesk.conversation.v1.visitor_service_pb2_grpc import VisitorServiceStub
from watch import watch_chat

from .connect import calling, new_id
from .expect import expect
from .upload import download, upload


class Widget:
    def __init__(self, connection, streams, token, channel_id):
        self.visitors, self.watched = VisitorServiceStub(connection), VisitorServiceStub(streams)
        self.token, self.channel_id = token, channel_id
        self.chat, self.entries, self.seen = None, None, 0

    def call(self, method, request):
        return getattr(self.visitors, method)(request, metadata=calling(self.token), timeout=30)

    def start(self):
        """Starts a chat, or goes on with the open one, and watches it."""
        start = api.StartChatRequest(
            channel_id=self.channel_id, page_url="https://shop.example/wheels", page_title="Wheels", request_id=new_id()
        )
        self.chat = self.call("StartChat", start).chat
        self.stop()
        self.entries, self.seen = watch_chat(self.watched, self.chat.id, lambda renew: self.token), 0

    def stop(self):
        if self.entries:
            self.entries.close()

    def until(self, wanted):
        """Reads the chat up to the entry that is wanted."""
        for entry in self.entries:
            self.seen += 1
            expect(entry.visitor_sequence, self.seen)  # No gap, no repeat.
            print(f"{entry.visitor_sequence}. {entry.author.name or 'visitor'}: {entry.message.text or entry.WhichOneof('content')}")
            if wanted(entry):
                return entry

    def until_text(self, text):
        return self.until(lambda entry: entry.message.text == text)

    def until_ended(self):
        return self.until(lambda entry: entry.WhichOneof("content") == "ended")

    def send(self, text, *attachment_ids):
        message = api.SendMessageRequest(chat_id=self.chat.id, text=text, attachment_ids=attachment_ids, request_id=new_id())
        self.call("SendMessage", message)

    def attach(self, name, content):
        """Uploads a file of the visitor, which goes with a message; returns the attachment's id."""
        announced = api.CreateChatAttachmentRequest(
            chat_id=self.chat.id, file_name=name, size_bytes=len(content), request_id=new_id()
        )
        created = self.call("CreateChatAttachment", announced)
        upload(created.upload, content)
        return created.attachment.id

    def open(self, entry):
        """Downloads the first file of an entry. The link is made when somebody opens the file."""
        opened = api.CreateChatAttachmentLinkRequest(
            chat_id=self.chat.id, visitor_sequence=entry.visitor_sequence, attachment_id=entry.message.attachments[0].attachment_id
        )
        return download(self.call("CreateChatAttachmentLink", opened).url)
