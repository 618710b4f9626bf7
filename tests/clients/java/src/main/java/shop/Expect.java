package shop;

import io.grpc.StatusRuntimeException;
import java.util.Objects;
import java.util.UUID;

/** What the programs expect, and ids for their requests. */
final class Expect {
    static void equal(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) throw new IllegalStateException("found " + found + " instead of " + wanted);
    }

    /** The refusal of a call. */
    static Refusal refused(Runnable call) {
        try {
            call.run();
        } catch (StatusRuntimeException error) {
            Refusal refusal = Refusal.read(error);
            System.out.printf("refused: %s %s %s %s%n", refusal.code(), refusal.reason(), refusal.metadata(), refusal.fields());
            return refusal;
        }
        throw new IllegalStateException("a call that should be refused was not");
    }

    static String newId() {
        return UUID.randomUUID().toString();
    }
}
