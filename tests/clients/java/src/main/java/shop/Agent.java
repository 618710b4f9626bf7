package shop;

import com.google.protobuf.ByteString;
import frontdesk.assignment.v1.AssignmentServiceGrpc;
import frontdesk.assignment.v1.TakeOverConversationRequest;
import frontdesk.conversation.v1.Attachment;
import frontdesk.conversation.v1.AttachmentServiceGrpc;
import frontdesk.conversation.v1.AttachmentStatus;
import frontdesk.conversation.v1.CloseConversationRequest;
import frontdesk.conversation.v1.Conversation;
import frontdesk.conversation.v1.ConversationServiceGrpc;
import frontdesk.conversation.v1.ConversationServiceGrpc.ConversationServiceBlockingStub;
import frontdesk.conversation.v1.CreateAttachmentRequest;
import frontdesk.conversation.v1.CreateAttachmentResponse;
import frontdesk.conversation.v1.CreateInsertRequest;
import frontdesk.conversation.v1.Entry;
import frontdesk.conversation.v1.GetAttachmentRequest;
import frontdesk.conversation.v1.GetConversationRequest;
import frontdesk.conversation.v1.InsertServiceGrpc;
import frontdesk.conversation.v1.Mention;
import frontdesk.conversation.v1.PostCommentRequest;
import frontdesk.conversation.v1.PostMessageRequest;
import frontdesk.conversation.v1.SearchConversationsRequest;
import frontdesk.conversation.v1.Snippet;
import frontdesk.conversation.v1.ThreadServiceGrpc;
import frontdesk.conversation.v1.ThreadServiceGrpc.ThreadServiceBlockingStub;
import frontdesk.notification.v1.PreviewTranscriptRequest;
import frontdesk.notification.v1.PreviewTranscriptResponse;
import frontdesk.notification.v1.TranscriptPart;
import frontdesk.notification.v1.TranscriptServiceGrpc;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** What an agent's program does in one conversation. */
final class Agent {
    final String id;
    final String conversationId;
    private final ManagedChannel channel;
    private final String token;
    private final ConversationServiceBlockingStub conversations;
    private final ThreadServiceBlockingStub threads;

    Agent(ManagedChannel channel, String token, String id, String conversationId) {
        this.channel = channel;
        this.token = token;
        this.id = id;
        this.conversationId = conversationId;
        conversations = Connect.calling(ConversationServiceGrpc.newBlockingStub(channel), token);
        threads = Connect.calling(ThreadServiceGrpc.newBlockingStub(channel), token);
    }

    Conversation conversation() {
        GetConversationRequest get = GetConversationRequest.newBuilder().setConversationId(conversationId).build();
        return conversations.getConversation(get).getConversation();
    }

    /** Takes the conversation from its owner, as the agent saw them: if they changed meanwhile, it is refused. */
    void takeOver() {
        Connect.calling(AssignmentServiceGrpc.newBlockingStub(channel), token).takeOverConversation(TakeOverConversationRequest.newBuilder()
            .setConversationId(conversationId).setExpectedEpoch(conversation().getEpoch()).setRequestId(Expect.newId()).build());
    }

    /** Posts a message. The conversation is added, and a request id if it has none. */
    Entry post(PostMessageRequest.Builder message) {
        if (message.getRequestId().isEmpty()) message.setRequestId(Expect.newId());
        return threads.postMessage(message.setConversationId(conversationId).build()).getEntry();
    }

    /** Uploads a file as a back end does; returns the attachment's id. */
    String attach(String name, String content) throws IOException, InterruptedException {
        var files = Connect.calling(AttachmentServiceGrpc.newBlockingStub(channel), token);
        CreateAttachmentResponse created = files.createAttachment(CreateAttachmentRequest.newBuilder()
            .setConversationId(conversationId).setFileName(name).setSizeBytes(content.getBytes(StandardCharsets.UTF_8).length)
            .setRequestId(Expect.newId()).build());
        Upload.put(created.getUpload(), content);
        GetAttachmentRequest get = GetAttachmentRequest.newBuilder().setAttachmentId(created.getAttachment().getId()).build();
        Attachment stored = files.getAttachment(get).getAttachment();
        Expect.equal(stored.getStatus(), AttachmentStatus.ATTACHMENT_STATUS_READY);
        return stored.getId();
    }

    /** Adds a snippet to the library; returns its id. Sending fills the placeholder. */
    String insert() {
        Snippet snippet = Snippet.newBuilder().setText("{{agent.name}} is here until six.").build();
        CreateInsertRequest insert = CreateInsertRequest.newBuilder()
            .setTitle("Opening hours").setSnippet(snippet).setRequestId(Expect.newId()).build();
        return Connect.calling(InsertServiceGrpc.newBlockingStub(channel), token).createInsert(insert).getInsert().getId();
    }

    /** Writes a comment, which only the team sees, with a mention of a colleague at its beginning. */
    void mention(String colleagueId) {
        Mention mention = Mention.newBuilder().setStart(0).setLength("@Grace".length()).setAgentId(colleagueId).build();
        threads.postComment(PostCommentRequest.newBuilder()
            .setConversationId(conversationId).setText("@Grace: a squeaking saddle, too").addMentions(mention)
            .setRequestId(Expect.newId()).build());
    }

    /** Waits until the conversation is found by the words, about a second after they were written. */
    void search(String query) throws InterruptedException {
        SearchConversationsRequest search = SearchConversationsRequest.newBuilder().setQuery(query).build();
        while (conversations.searchConversations(search).getMatchesList().stream()
                .noneMatch(match -> match.getRow().getConversation().getId().equals(conversationId))) {
            Thread.sleep(50);
        }
    }

    void close() {
        conversations.closeConversation(CloseConversationRequest.newBuilder()
            .setConversationId(conversationId).setRequestId(Expect.newId()).build());
    }

    /** The text of the transcript, which is read in parts of at most 1 MiB. */
    String preview() {
        var transcripts = Connect.calling(TranscriptServiceGrpc.newBlockingStub(channel), token);
        ByteString text = ByteString.EMPTY;
        for (;;) {
            PreviewTranscriptResponse part = transcripts.previewTranscript(PreviewTranscriptRequest.newBuilder()
                .setConversationId(conversationId).setPart(TranscriptPart.TRANSCRIPT_PART_TEXT).setOffset(text.size()).build());
            text = text.concat(part.getContent());
            if (part.getContent().isEmpty() || text.size() >= part.getTotalSize()) return text.toStringUtf8();
        }
    }
}
