package shop;

import frontdesk.conversation.v1.ChatEntry;
import frontdesk.conversation.v1.VisitorServiceGrpc.VisitorServiceBlockingStub;
import frontdesk.conversation.v1.WatchChatRequest;
import frontdesk.conversation.v1.WatchChatResponse;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import java.util.EnumSet;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Function;
import java.util.function.Predicate;

/** Watches a chat across lost connections, without a gap or repeat. */
final class Watch {
    /** Codes that another try does not change. */
    static final Set<Code> FINAL =
        EnumSet.of(Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.OUT_OF_RANGE, Code.UNIMPLEMENTED);

    /** Gives the entries after a visitor sequence to `next` until it returns false. `token` returns a token, a new one for true. */
    static void chat(VisitorServiceBlockingStub visitors, String chatId, int after, Function<Boolean, String> token, Predicate<ChatEntry> next)
            throws InterruptedException {
        boolean renew = false;
        for (long pause = 250; ; pause = Math.min(2 * pause, 30_000)) {
            long delay = 0;
            Context.CancellableContext call = Context.current().withCancellation();
            Context before = call.attach();
            try {
                WatchChatRequest request = WatchChatRequest.newBuilder().setChatId(chatId).setAfterVisitorSequence(after).build();
                Iterator<WatchChatResponse> responses = as(visitors, token.apply(renew)).watchChat(request);
                while (responses.hasNext()) {
                    WatchChatResponse response = responses.next();
                    pause = 250;
                    renew = false;
                    if (response.hasEntry()) { // Others are skipped, also those of later versions.
                        after = response.getEntry().getVisitorSequence();
                        if (!next.test(response.getEntry())) return;
                    }
                }
            } catch (StatusRuntimeException error) {
                Refusal refusal = Refusal.read(error);
                if (FINAL.contains(refusal.code()) || (renew && refusal.code() == Code.UNAUTHENTICATED)) throw error;
                renew = refusal.code() == Code.UNAUTHENTICATED;
                delay = refusal.retryDelayMillis();
            } finally {
                call.detach(before);
                call.cancel(null);
            }
            Thread.sleep(delay + ThreadLocalRandom.current().nextLong(pause));
        }
    }

    /** The stub with a token. */
    static VisitorServiceBlockingStub as(VisitorServiceBlockingStub visitors, String token) {
        Metadata caller = new Metadata();
        caller.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
        return visitors.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(caller));
    }
}
