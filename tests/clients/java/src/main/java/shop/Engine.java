package shop;

import frontdesk.actor.v1.ActorKind;
import frontdesk.botsession.v1.AnswerTurnRequest;
import frontdesk.botsession.v1.BotEngineServiceGrpc.BotEngineServiceBlockingStub;
import frontdesk.botsession.v1.ListTurnEntriesRequest;
import frontdesk.botsession.v1.ListTurnEntriesResponse;
import frontdesk.botsession.v1.Turn;
import frontdesk.botsession.v1.TurnHandOff;
import frontdesk.botsession.v1.TurnMessage;
import frontdesk.botsession.v1.TurnPart;
import frontdesk.botsession.v1.WatchTurnsRequest;
import frontdesk.botsession.v1.WatchTurnsResponse;
import frontdesk.conversation.v1.Entry;
import io.grpc.Context;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** A bot as a program: it takes the turns of its bot's sessions, a limited number at a time, and answers them. */
final class Engine {
    /** Answers a turn with `send`. Its context is cancelled when the turn is over. */
    interface Answer {
        void answer(Engine engine, Turn turn) throws InterruptedException;
    }

    private final BotEngineServiceBlockingStub client;
    private final int maxTurns;
    private final Answer answer;
    /** What ends the work on each turn, by attempt. */
    private final Map<String, Context.CancellableContext> working = new ConcurrentHashMap<>();

    /** The stub has the bot's token. */
    Engine(BotEngineServiceBlockingStub client, int maxTurns, Answer answer) {
        this.client = client;
        this.maxTurns = maxTurns;
        this.answer = answer;
    }

    /** Watches the turns, across lost connections, until `engine` is cancelled or the bot has no engine any more. */
    void run(Context.CancellableContext engine) throws InterruptedException {
        for (long pause = 250; !engine.isCancelled(); pause = Math.min(2 * pause, 30_000)) {
            long delay = 0;
            Context.CancellableContext call = engine.withCancellation();
            Context before = call.attach();
            try {
                // Turns that were leased to the stream before are still worked on, and count.
                int free = maxTurns - working.size();
                if (free > 0) { // Otherwise ask again when a turn has ended: 0 would mean the default.
                    Iterator<WatchTurnsResponse> updates = client.watchTurns(WatchTurnsRequest.newBuilder().setMaxTurns(free).build());
                    while (updates.hasNext()) {
                        WatchTurnsResponse update = updates.next();
                        pause = 250;
                        // Others are skipped, also those of later versions.
                        if (update.hasTurn()) start(engine, update.getTurn());
                        if (update.hasTurnOver()) stop(key(update.getTurnOver().getTurnId(), update.getTurnOver().getAttempt()));
                    }
                }
            } catch (StatusRuntimeException error) {
                Refusal refusal = Refusal.read(error);
                boolean over = Watch.FINAL.contains(refusal.code()) || refusal.reason().equals("BOT_HAS_NO_ENGINE");
                if (over && !engine.isCancelled()) throw error;
                delay = refusal.retryDelayMillis();
            } finally {
                call.detach(before);
                call.cancel(null);
            }
            if (!engine.isCancelled()) Thread.sleep(delay + ThreadLocalRandom.current().nextLong(pause));
        }
    }

    private void start(Context.CancellableContext engine, Turn turn) {
        Context.CancellableContext work = engine.withCancellation();
        working.put(key(turn.getId(), turn.getAttempt()), work);
        Thread thread = new Thread(() -> work.run(() -> {
            try {
                answer.answer(this, turn);
            } catch (InterruptedException | RuntimeException error) {
                // It is sent again, or goes to the team.
                System.out.println("turn " + turn.getNumber() + " was not answered: " + error);
            } finally {
                stop(key(turn.getId(), turn.getAttempt()));
            }
        }));
        thread.setDaemon(true);
        thread.start();
    }

    private void stop(String attempt) {
        Context.CancellableContext work = working.remove(attempt);
        if (work != null) work.cancel(null);
    }

    /** Answers a turn, or sends a part of the answer. After a lost response it repeats the call with its request id. */
    void send(Turn turn, boolean endsTurn, TurnPart... parts) throws InterruptedException {
        AnswerTurnRequest request = AnswerTurnRequest.newBuilder()
            .setTurnId(turn.getId()).setAttempt(turn.getAttempt()).addAllParts(List.of(parts)).setEndsTurn(endsTurn)
            .setRequestId(Expect.newId()).build();
        for (long pause = 100; ; pause = Math.min(2 * pause, 5_000)) {
            try {
                client.withDeadlineAfter(10, TimeUnit.SECONDS).answerTurn(request);
                return;
            } catch (StatusRuntimeException error) {
                Refusal refusal = Refusal.read(error);
                boolean lost = refusal.code() == Code.UNAVAILABLE || refusal.code() == Code.DEADLINE_EXCEEDED;
                if (!lost || Context.current().isCancelled()) throw error;
                Thread.sleep(refusal.retryDelayMillis() + ThreadLocalRandom.current().nextLong(pause));
            }
        }
    }

    /** What the visitor wrote since the previous turn. */
    List<String> asked(Turn turn) {
        List<String> texts = new ArrayList<>();
        int after = turn.getPreviousSequence();
        for (boolean more = true; more; ) {
            ListTurnEntriesRequest request = ListTurnEntriesRequest.newBuilder().setTurnId(turn.getId()).setAfterSequence(after).build();
            ListTurnEntriesResponse page = client.listTurnEntries(request);
            for (Entry entry : page.getEntriesList()) {
                boolean isAsked = entry.getAuthor().getKind() == ActorKind.ACTOR_KIND_VISITOR && entry.getSequence() <= turn.getLastSequence();
                if (isAsked && entry.hasMessage()) texts.add(entry.getMessage().getText());
            }
            after = page.getLastSequence();
            more = page.getHasMore();
        }
        return texts;
    }

    static TurnPart say(String text) {
        return TurnPart.newBuilder().setMessage(TurnMessage.newBuilder().setText(text)).build();
    }

    static TurnPart handOff(String reason) {
        return TurnPart.newBuilder().setHandOff(TurnHandOff.newBuilder().setReason(reason)).build();
    }

    private static String key(String turnId, int attempt) {
        return turnId + "/" + attempt;
    }
}
