package shop;

import frontdesk.conversation.v1.ChatEntry;
import frontdesk.conversation.v1.SendMessageRequest;
import frontdesk.conversation.v1.StartChatRequest;
import frontdesk.conversation.v1.VisitorServiceGrpc;
import frontdesk.conversation.v1.VisitorServiceGrpc.VisitorServiceBlockingStub;
import io.grpc.ManagedChannel;
import io.grpc.Status.Code;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A visitor's chat with stubs alone: start, send, watch, lose the connection, resume, read refusals.
 *
 * <p>The environment has ADDRESS, CHANNEL_ID, VISITOR_TOKEN, and EXPIRED_TOKEN, an older token of the same visitor. `cut` on
 * standard output asks the driver (tests/clients/run.py) to cut the connection; meanwhile the team answers and closes the chat.
 */
public final class Visitor {
    private static String current = System.getenv("EXPIRED_TOKEN");
    private static int openings = 0;
    private static final List<ChatEntry> entries = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        ManagedChannel channel = Connect.to(System.getenv("ADDRESS"));
        VisitorServiceBlockingStub visitors = VisitorServiceGrpc.newBlockingStub(channel);
        VisitorServiceBlockingStub caller = Connect.calling(visitors, System.getenv("VISITOR_TOKEN"));

        StartChatRequest start = StartChatRequest.newBuilder()
            .setChannelId(System.getenv("CHANNEL_ID")).setPageUrl("https://shop.example/").setRequestId(Expect.newId()).build();
        String chatId = caller.startChat(start).getChat().getId();
        SendMessageRequest hello = message(chatId, "Is my bicycle ready?");
        ChatEntry sent = caller.sendMessage(hello).getEntry();
        Expect.equal(caller.sendMessage(hello).getEntry(), sent); // A repeat sends once.

        Watch.chat(visitors, chatId, 0, Visitor::token, entry -> {
            entries.add(entry);
            Expect.equal(entry.getVisitorSequence(), entries.size()); // No gap, no repeat.
            System.out.printf("%d. %s: %s%n", entry.getVisitorSequence(), entry.getAuthor().getName(), entry.getMessage().getText());
            if (entry.getRequestId().equals(hello.getRequestId())) System.out.println("cut " + chatId);
            return !entry.hasEnded();
        });
        List<String> texts = entries.stream().filter(ChatEntry::hasMessage).map(entry -> entry.getMessage().getText()).toList();
        Expect.equal(texts, List.of("Is my bicycle ready?", "Nearly.", "Now it is."));
        Expect.equal(openings > 2, true); // With the expired token, with the new one, after the cut.

        Refusal closed = Expect.refused(() -> caller.sendMessage(message(chatId, "Thank you!")));
        Expect.equal(closed.code(), Code.FAILED_PRECONDITION);
        Expect.equal(closed.reason(), "CONVERSATION_CLOSED");
        Expect.equal(closed.metadata().get("close_number"), "1");
        Refusal invalid = Expect.refused(() -> caller.sendMessage(message("x", "\u0001")));
        Expect.equal(invalid.code(), Code.INVALID_ARGUMENT);
        Expect.equal(invalid.reason(), "INVALID_FIELDS");
        Expect.equal(Set.copyOf(invalid.fields()), Set.of("chat_id", "text"));
        System.out.println("done");
        channel.shutdownNow();
    }

    /** The visitor's token. A renewed one comes from your back end. */
    private static String token(boolean renew) {
        openings++;
        if (renew) current = System.getenv("VISITOR_TOKEN");
        return current;
    }

    private static SendMessageRequest message(String chatId, String text) {
        return SendMessageRequest.newBuilder().setChatId(chatId).setText(text).setRequestId(Expect.newId()).build();
    }
}
