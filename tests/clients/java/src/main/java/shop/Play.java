package shop;

import frontdesk.botsession.v1.BotEngineServiceGrpc;
import frontdesk.botsession.v1.Turn;
import frontdesk.conversation.v1.ChatEntry;
import frontdesk.conversation.v1.ConversationServiceGrpc;
import frontdesk.conversation.v1.ConversationServiceGrpc.ConversationServiceBlockingStub;
import frontdesk.conversation.v1.Entry;
import frontdesk.conversation.v1.PostMessageRequest;
import frontdesk.conversation.v1.RichText;
import frontdesk.conversation.v1.RichTextBlock;
import frontdesk.conversation.v1.RichTextLine;
import frontdesk.conversation.v1.RichTextSpan;
import frontdesk.conversation.v1.VisitorServiceGrpc;
import frontdesk.conversation.v1.VisitorServiceGrpc.VisitorServiceBlockingStub;
import frontdesk.event.v1.ConversationEventServiceGrpc;
import frontdesk.event.v1.ConversationEventServiceGrpc.ConversationEventServiceBlockingStub;
import frontdesk.event.v1.Event;
import frontdesk.event.v1.EventStart;
import frontdesk.notification.v1beta1.WebhookServiceGrpc;
import frontdesk.notification.v1beta1.WebhookServiceGrpc.WebhookServiceBlockingStub;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Status.Code;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * A whole chat, played as the widget, the agent, the bot's engine and the back end, with stubs alone.
 *
 * <p>The environment has ADDRESS, ACCOUNT_ID, CHANNEL_ID, KEY_ID and KEY_SECRET, AGENT_ID and AGENT_TOKEN, BOT_TOKEN of the bot that
 * greets, and ADMIN_TOKEN for its events. `cut` on standard output asks the driver (tests/clients/scene.py) to cut the connections to
 * ADDRESS, and to refuse new ones for half a second.
 */
public final class Play {
    public static void main(String[] arguments) throws Exception {
        // Streams have a connection of their own: what fails there does not use up the retries of the calls.
        ManagedChannel channel = Connect.to(System.getenv("ADDRESS"));
        ManagedChannel streams = Connect.to(System.getenv("ADDRESS"));
        String channelId = System.getenv("CHANNEL_ID");
        String agentToken = System.getenv("AGENT_TOKEN");

        // The back end signs a token for each visitor.
        VisitorToken issuer = new VisitorToken(System.getenv("ACCOUNT_ID"), channelId, System.getenv("KEY_ID"), System.getenv("KEY_SECRET"));
        String visitor = "vera-" + UUID.randomUUID();
        VisitorServiceBlockingStub visitors = VisitorServiceGrpc.newBlockingStub(channel);
        String signed = issuer.sign(visitor, Map.of("name", "Vera", "email", visitor + "@visitor.example"));
        Widget page = new Widget(visitors, VisitorServiceGrpc.newBlockingStub(streams), signed, channelId);

        // The back end follows the events from now on, by a stream and by webhooks.
        String adminToken = System.getenv("ADMIN_TOKEN");
        EventLog byStream = new EventLog();
        EventLog byWebhook = new EventLog();
        AtomicInteger openings = new AtomicInteger();
        CountDownLatch caughtUp = new CountDownLatch(1);
        Supplier<String> openingToken = () -> {
            openings.incrementAndGet(); // Each stream asks for a token.
            return adminToken;
        };
        Thread following = new Thread(() -> followInto(byStream, ConversationEventServiceGrpc.newBlockingStub(streams), openingToken, caughtUp));
        following.setDaemon(true);
        following.start();
        Expect.equal(caughtUp.await(30, TimeUnit.SECONDS), true);
        WebhookReceiver receiver = new WebhookReceiver((event, body) -> byWebhook.add(event.id(), event.aggregateId(), event.version(), body));
        WebhookServiceBlockingStub webhooks = Connect.calling(WebhookServiceGrpc.newBlockingStub(channel), adminToken);
        String endpointId = Webhooks.postTo(receiver, webhooks);
        Webhooks.playForged(receiver);

        // The bot's program runs beside.
        var client = Connect.calling(BotEngineServiceGrpc.newBlockingStub(streams), System.getenv("BOT_TOKEN"));
        Engine engine = new Engine(client, 2, Play::answerTurn);
        Context.CancellableContext engineContext = Context.ROOT.withCancellation();
        CompletableFuture<Void> engineEnded = CompletableFuture.runAsync(() -> {
            try {
                engine.run(engineContext);
            } catch (InterruptedException stopped) {
                Thread.currentThread().interrupt();
            }
        });

        // The agent's program shows the channel's open chats. There are none.
        ConversationServiceBlockingStub conversations = Connect.calling(ConversationServiceGrpc.newBlockingStub(channel), agentToken);
        ConversationServiceBlockingStub watched = Connect.calling(ConversationServiceGrpc.newBlockingStub(streams), agentToken);
        Inbox open = new Inbox(conversations, watched, channelId);
        Expect.equal(open.rows.size(), 0);

        // The visitor starts; the bot greets, and answers a message that brings a file.
        page.start();
        String first = page.chat.getId();
        page.untilText("Ask me anything.");
        page.send("Is this tyre worn?", page.attach("tyre.txt", "It lost air twice."));
        Expect.equal(page.open(page.untilText("Is this tyre worn?")), "It lost air twice.");
        page.untilText("You wrote: Is this tyre worn?");
        Refusals.playInvalid(page);

        // The agent takes over from the bot. A repeat of a message posts it once.
        Agent grace = new Agent(channel, agentToken, System.getenv("AGENT_ID"), first);
        open.watchUntil(rows -> Inbox.lastText(rows, first).equals("You wrote: Is this tyre worn?"));
        Refusal inCharge = Expect.refused(() -> grace.post(PostMessageRequest.newBuilder().setText("Hello, Grace here.")));
        Expect.equal(inCharge.code(), Code.FAILED_PRECONDITION);
        Expect.equal(inCharge.reason(), "BOT_IN_CHARGE");
        grace.takeOver();
        PostMessageRequest.Builder reply = PostMessageRequest.newBuilder().setText("Hello, Grace here.");
        Entry posted = grace.post(reply);
        Expect.equal(grace.post(reply), posted);
        page.untilText("Hello, Grace here.");

        // All connections are cut. The visitor's message is repeated by the service config until it is sent; the inbox goes on from its
        // cursor and the chat from its last entry.
        AtomicBoolean cut = new AtomicBoolean();
        AtomicBoolean lost = new AtomicBoolean();
        open.lost = () -> {
            if (!lost.getAndSet(true)) page.send("It squeaks.");
        };
        open.watchUntil(rows -> {
            if (!cut.getAndSet(true)) System.out.println("cut");
            return Inbox.lastText(rows, first).equals("It squeaks.");
        });
        Expect.equal(lost.get(), true);
        page.untilText("It squeaks.");
        Inbox listed = new Inbox(conversations, watched, channelId);
        Expect.equal(open.rows.get(first).getConversation().getVersion(), listed.rows.get(first).getConversation().getVersion());

        // The agent sends a file, an insert and a rich text, mentions a colleague, and finds the conversation by words.
        String prices = "front wheel,20\nrear wheel,25\n";
        RichTextSpan link = RichTextSpan.newBuilder().setText("All prices").setLinkUrl("https://shop.example/prices").build();
        RichTextBlock paragraph = RichTextBlock.newBuilder().setParagraph(RichTextLine.newBuilder().addSpans(link)).build();
        grace.post(PostMessageRequest.newBuilder()
            .setRichText(RichText.newBuilder().addBlocks(paragraph))
            .addInsertIds(grace.insert())
            .addAttachmentIds(grace.attach("prices.csv", prices)));
        ChatEntry seen = page.untilText("All prices (https://shop.example/prices)");
        Expect.equal(seen.getMessage().getInserts(0).getPlainText(), "Grace is here until six.");
        Expect.equal(page.open(seen), prices);
        grace.mention(grace.id);
        grace.search("squeaking sad");

        // The agent closes, and reads the transcript, which has no comments.
        grace.close();
        page.until(ChatEntry::hasEnded);
        open.watchUntil(rows -> !rows.containsKey(first));
        Refusal closed = Expect.refused(() -> page.send("Thank you!"));
        Expect.equal(closed.code(), Code.FAILED_PRECONDITION);
        Expect.equal(closed.reason(), "CONVERSATION_CLOSED");
        String transcript = grace.preview();
        for (String part : List.of("Ask me anything.", "Is this tyre worn?", "tyre.txt", "It squeaks.", "prices.csv", "Grace is here until six.")) {
            Expect.equal(part + transcript.contains(part), part + true);
        }
        Expect.equal(transcript.contains("squeaking saddle"), false);

        // The visitor starts a new conversation, and the bot hands it off.
        page.start();
        Expect.equal(page.chat.getPreviousChatId(), first);
        page.untilText("Ask me anything.");
        page.send("A person, please");
        page.untilText("A colleague comes.");
        Agent again = new Agent(channel, agentToken, grace.id, page.chat.getId());
        again.close();
        page.until(ChatEntry::hasEnded);
        page.stop();
        engineContext.cancel(null);
        engineEnded.get(10, TimeUnit.SECONDS);

        // Each event of both conversations came, in order, by the stream, over the cut, and by webhooks. None has a text, a name or an
        // address.
        Expect.equal(openings.get() > 1, true);
        for (EventLog log : List.of(byStream, byWebhook)) {
            for (Agent chat : List.of(grace, again)) log.expectAll(chat.conversationId, chat.conversation().getVersion());
            log.expectNone(List.of("Vera", "Grace", "@visitor.example", "shop.example", "tyre", "squeak", "prices", "Ask me anything"));
        }
        Webhooks.stopPosting(endpointId, webhooks);
        receiver.stop();

        Refusals.playTooOften(new Widget(visitors, visitors, issuer.sign("hurried-" + visitor, Map.of()), channelId));
        System.out.println("done");
        channel.shutdownNow();
        streams.shutdownNow();
    }

    /** Adds the events from now on to the log. Counts `caughtUp` down when the stream has begun. */
    private static void followInto(EventLog log, ConversationEventServiceBlockingStub events, Supplier<String> token, CountDownLatch caughtUp) {
        try {
            Follow.events(events, token, EventStart.EVENT_START_LATEST, "", update -> {
                if (update.hasPublished()) { // Others are skipped, also those of later versions.
                    Event event = update.getPublished();
                    log.add(event.getId(), event.getAggregateId(), event.getVersion(), event.toByteArray());
                } else if (update.hasCaughtUp()) {
                    caughtUp.countDown();
                }
                return true;
            });
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
        }
    }

    /** Greets in two parts, repeats what the visitor wrote, and hands off to a person. */
    private static void answerTurn(Engine engine, Turn turn) throws InterruptedException {
        if (turn.getNumber() == 1) {
            List<String> greeting = List.of("Hello, I am a program.", "Ask me anything.");
            // Another attempt goes on after the parts that were sent.
            for (int at = turn.getSentParts(); at < greeting.size(); at++) {
                engine.send(turn, at == greeting.size() - 1, Engine.say(greeting.get(at)));
            }
            return;
        }
        String text = String.join("\n", engine.asked(turn));
        if (text.contains("person")) {
            engine.send(turn, true, Engine.say("A colleague comes."), Engine.handOff("The visitor asked for a person."));
        } else {
            engine.send(turn, true, Engine.say("You wrote: " + text));
        }
    }
}
