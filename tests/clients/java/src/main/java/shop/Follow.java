package shop;

import frontdesk.event.v1.ConversationEventServiceGrpc.ConversationEventServiceBlockingStub;
import frontdesk.event.v1.EventStart;
import frontdesk.event.v1.SubscribeConversationEventsRequest;
import frontdesk.event.v1.SubscribeConversationEventsResponse;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.util.Iterator;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;
import java.util.function.Supplier;

/** Follows the events of an account, across lost connections. */
final class Follow {
    /**
     * Gives the updates after a cursor to `next` until it returns false. Without one, which is empty, they begin at `start`. `token` returns
     * a token.
     */
    static void events(ConversationEventServiceBlockingStub events, Supplier<String> token, EventStart start, String cursor,
            Predicate<SubscribeConversationEventsResponse> next) throws InterruptedException {
        for (long pause = 1_000; ; pause = Math.min(2 * pause, 30_000)) {
            long delay = 0;
            Context.CancellableContext call = Context.current().withCancellation();
            Context before = call.attach();
            try {
                SubscribeConversationEventsRequest request =
                    SubscribeConversationEventsRequest.newBuilder().setCursor(cursor).setStart(start).build();
                Iterator<SubscribeConversationEventsResponse> updates =
                    Connect.calling(events, token.get()).subscribeConversationEvents(request);
                while (updates.hasNext()) {
                    SubscribeConversationEventsResponse update = updates.next();
                    pause = 1_000;
                    if (!next.test(update)) return; // The program that handles it stores its cursor, in the same transaction.
                    cursor = update.getCursor();
                }
            } catch (StatusRuntimeException error) {
                Refusal refusal = Refusal.read(error);
                if (Watch.FINAL.contains(refusal.code())) throw error; // For example CURSOR_TOO_OLD.
                delay = refusal.retryDelayMillis();
            } finally {
                call.detach(before);
                call.cancel(null);
            }
            Thread.sleep(delay + ThreadLocalRandom.current().nextLong(pause / 2, pause));
        }
    }
}
