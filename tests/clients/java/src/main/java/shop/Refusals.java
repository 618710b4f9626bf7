package shop;

import frontdesk.conversation.v1.GetWidgetRequest;
import frontdesk.conversation.v1.SendMessageRequest;
import io.grpc.Status.Code;
import java.util.Set;

/** Refusals and what a program reads in them. */
final class Refusals {
    /** Has a message refused whose fields are invalid, and reads which. */
    static void playInvalid(Widget page) {
        SendMessageRequest message = SendMessageRequest.newBuilder().setChatId("x").setText("\u0001").setRequestId(Expect.newId()).build();
        Refusal invalid = Expect.refused(() -> page.visitors.sendMessage(message));
        Expect.equal(invalid.code(), Code.INVALID_ARGUMENT);
        Expect.equal(invalid.reason(), "INVALID_FIELDS");
        Expect.equal(Set.copyOf(invalid.fields()), Set.of("chat_id", "text"));
    }

    /** Calls until the rate limit of the visitor refuses a call, and waits for as long as the refusal says. */
    static void playTooOften(Widget page) throws InterruptedException {
        GetWidgetRequest get = GetWidgetRequest.newBuilder().setChannelId(page.channelId).build();
        Refusal limited = Expect.refused(() -> {
            for (int calls = 0; calls < 2000; calls++) page.visitors.getWidget(get);
        });
        Expect.equal(limited.code(), Code.RESOURCE_EXHAUSTED);
        Expect.equal(limited.reason(), "RATE_LIMITED");
        Expect.equal(limited.metadata().get("whose"), "caller");
        Expect.equal(limited.retryDelayMillis() > 0, true);
        Thread.sleep(limited.retryDelayMillis());
        page.visitors.getWidget(get);
    }
}
