package shop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/** The events that a program got, by one of the ways. */
final class EventLog {
    private final Set<String> ids = new HashSet<>();
    private final Map<String, List<Integer>> versions = new HashMap<>();
    private final List<String> contents = new ArrayList<>();

    /** Handles an event once. In your program the id is stored in the transaction of the effect. */
    synchronized void add(String id, String aggregateId, int version, byte[] content) {
        contents.add(new String(content, StandardCharsets.UTF_8));
        if (ids.add(id)) versions.computeIfAbsent(aggregateId, unseen -> new ArrayList<>()).add(version); // Every event can come again.
    }

    private synchronized List<Integer> seen(String aggregateId) {
        return List.copyOf(versions.getOrDefault(aggregateId, List.of()));
    }

    /** Waits for the events of an aggregate up to a version. Each came, and in order. */
    void expectAll(String aggregateId, int version) throws InterruptedException {
        while (!seen(aggregateId).contains(version)) Thread.sleep(50);
        List<Integer> seen = seen(aggregateId);
        Expect.equal(seen, IntStream.rangeClosed(1, seen.size()).boxed().toList());
    }

    /** No event contains one of the words. */
    synchronized void expectNone(List<String> words) {
        Expect.equal(words.stream().filter(word -> contents.stream().anyMatch(content -> content.contains(word))).toList(), List.of());
    }
}
