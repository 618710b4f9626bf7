package shop;

import frontdesk.conversation.v1.ConversationServiceGrpc.ConversationServiceBlockingStub;
import frontdesk.conversation.v1.ConversationStatus;
import frontdesk.conversation.v1.InboxRow;
import frontdesk.conversation.v1.ListConversationsRequest;
import frontdesk.conversation.v1.ListConversationsResponse;
import frontdesk.conversation.v1.WatchInboxRequest;
import frontdesk.conversation.v1.WatchInboxResponse;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;

/** A channel's open conversations, as an agent's program shows them: a list, and watches that go on from where it was read. */
final class Inbox {
    final Map<String, InboxRow> rows = new HashMap<>();
    /** Is called when a stream has ended. */
    Runnable lost = () -> {};
    private final ConversationServiceBlockingStub watched;
    private final ListConversationsRequest request;
    private String cursor;

    /** Lists the conversations. The stubs have an agent's token; `watched` is over the connection for streams. */
    Inbox(ConversationServiceBlockingStub conversations, ConversationServiceBlockingStub watched, String channelId) {
        this.watched = watched;
        request = ListConversationsRequest.newBuilder().addChannelIds(channelId).addStatuses(ConversationStatus.CONVERSATION_STATUS_OPEN).build();
        ListConversationsResponse page = conversations.listConversations(request);
        page.getRowsList().forEach(row -> rows.put(row.getConversation().getId(), row));
        cursor = page.getWatchCursor();
    }

    /** Keeps the rows up to date, across lost connections, until they are as wanted. */
    void watchUntil(Predicate<Map<String, InboxRow>> wanted) throws InterruptedException {
        for (long pause = 250; ; pause = Math.min(2 * pause, 30_000)) {
            long delay = 0;
            Context.CancellableContext call = Context.current().withCancellation();
            Context before = call.attach();
            try {
                WatchInboxRequest watch = WatchInboxRequest.newBuilder().setInbox(request).setCursor(cursor).build();
                Iterator<WatchInboxResponse> responses = watched.watchInbox(watch);
                while (responses.hasNext()) {
                    update(responses.next());
                    pause = 250;
                    if (wanted.test(rows)) return;
                }
            } catch (StatusRuntimeException error) {
                Refusal refusal = Refusal.read(error);
                if (Watch.FINAL.contains(refusal.code())) throw error;
                delay = refusal.retryDelayMillis();
            } finally {
                call.detach(before);
                call.cancel(null);
            }
            lost.run();
            Thread.sleep(delay + ThreadLocalRandom.current().nextLong(pause));
        }
    }

    private void update(WatchInboxResponse response) {
        if (!response.getCursor().isEmpty()) cursor = response.getCursor();
        if (response.hasRow()) { // Others are skipped, also those of later versions.
            InboxRow row = response.getRow();
            InboxRow shown = rows.get(row.getConversation().getId());
            boolean newer = shown == null || shown.getConversation().getVersion() <= row.getConversation().getVersion();
            if (newer) rows.put(row.getConversation().getId(), row);
        } else if (response.hasGoneConversationId()) {
            rows.remove(response.getGoneConversationId());
        }
    }

    /** The text of the newest message of a conversation. */
    static String lastText(Map<String, InboxRow> rows, String conversationId) {
        return rows.getOrDefault(conversationId, InboxRow.getDefaultInstance()).getLastEntry().getMessage().getText();
    }
}
