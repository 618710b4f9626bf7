"""What an agent's program does in one conversation."""

import time

from frontdesk.assignment.v1 import assignment_service_pb2 as assignments
from frontdesk.assignment.v1.assignment_service_pb2_grpc import AssignmentServiceStub
from frontdesk.conversation.v1 import attachment_pb2, attachment_service_pb2 as files, conversation_service_pb2 as conversations
from frontdesk.conversation.v1 import entry_pb2, insert_pb2, insert_service_pb2 as inserts, thread_service_pb2 as threads
from frontdesk.conversation.v1.attachment_service_pb2_grpc import AttachmentServiceStub
from frontdesk.conversation.v1.conversation_service_pb2_grpc import ConversationServiceStub
from frontdesk.conversation.v1.insert_service_pb2_grpc import InsertServiceStub
from frontdesk.conversation.v1.thread_service_pb2_grpc import ThreadServiceStub
from frontdesk.notification.v1 import transcript_service_pb2 as transcripts
from frontdesk.notification.v1.transcript_service_pb2_grpc import TranscriptServiceStub

from .connect import calling, new_id
from .expect import expect
from .upload import upload


class Agent:
    def __init__(self, connection, token, agent_id, conversation_id):
        self.connection, self.token, self.id, self.conversation_id = connection, token, agent_id, conversation_id

    def call(self, stub, method, request):
        return getattr(stub(self.connection), method)(request, metadata=calling(self.token), timeout=30)

    def conversation(self):
        get = conversations.GetConversationRequest(conversation_id=self.conversation_id)
        return self.call(ConversationServiceStub, "GetConversation", get).conversation

    def take_over(self):
        """Takes the conversation from its owner, as the agent saw them: if they changed meanwhile, it is refused."""
        take = assignments.TakeOverConversationRequest(
            conversation_id=self.conversation_id, expected_epoch=self.conversation().epoch, request_id=new_id()
        )
        self.call(AssignmentServiceStub, "TakeOverConversation", take)

    def post(self, **message):
        """Posts a message. The conversation is added, and a request id if it has none."""
        post = threads.PostMessageRequest(conversation_id=self.conversation_id, **{"request_id": new_id(), **message})
        return self.call(ThreadServiceStub, "PostMessage", post).entry

    def attach(self, name, content):
        """Uploads a file as a back end does; returns the attachment's id."""
        announced = files.CreateAttachmentRequest(
            conversation_id=self.conversation_id, file_name=name, size_bytes=len(content), request_id=new_id()
        )
        created = self.call(AttachmentServiceStub, "CreateAttachment", announced)
        upload(created.upload, content)
        get = files.GetAttachmentRequest(attachment_id=created.attachment.id)
        stored = self.call(AttachmentServiceStub, "GetAttachment", get).attachment
        expect(stored.status, attachment_pb2.ATTACHMENT_STATUS_READY)
        return stored.id

    def insert(self):
        """Adds a snippet to the library; returns its id. Sending fills the placeholder."""
        snippet = insert_pb2.Snippet(text="{{agent.name}} is here until six.")
        insert = inserts.CreateInsertRequest(title="Opening hours", snippet=snippet, request_id=new_id())
        return self.call(InsertServiceStub, "CreateInsert", insert).insert.id

    def mention(self, colleague_id):
        """Writes a comment, which only the team sees, with a mention of a colleague at its beginning."""
        mention = entry_pb2.Mention(start=0, length=len("@Grace"), agent_id=colleague_id)
        comment = threads.PostCommentRequest(
            conversation_id=self.conversation_id, text="@Grace: a squeaking saddle, too", mentions=[mention], request_id=new_id()
        )
        self.call(ThreadServiceStub, "PostComment", comment)

    def search(self, query):
        """Waits until the conversation is found by the words, about a second after they were written."""
        search = conversations.SearchConversationsRequest(query=query)
        found = []
        while self.conversation_id not in found:
            page = self.call(ConversationServiceStub, "SearchConversations", search)
            found = [match.row.conversation.id for match in page.matches]
            time.sleep(0.05)

    def close(self):
        close = conversations.CloseConversationRequest(conversation_id=self.conversation_id, request_id=new_id())
        self.call(ConversationServiceStub, "CloseConversation", close)

    def preview(self):
        """The text of the transcript, which is read in parts of at most 1 MiB."""
        text, more = b"", True
        while more:
            wanted = transcripts.PreviewTranscriptRequest(
                conversation_id=self.conversation_id, part=transcripts.TRANSCRIPT_PART_TEXT, offset=len(text)
            )
            part = self.call(TranscriptServiceStub, "PreviewTranscript", wanted)
            text += part.content
            more = part.content and len(text) < part.total_size
        return text.decode()
