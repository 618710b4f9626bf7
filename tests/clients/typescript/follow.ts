import type { Client } from "@connectrpc/connect";
import { sleep, unlessSilent, watching } from "./connect.js";
import type { ConversationEventService } from "./gen/frontdesk/event/v1/conversation_event_service_pb.js";
import type { EventStart } from "./gen/frontdesk/event/v1/subscription_pb.js";
import { readRefusal } from "./refusal.js";
import { FINAL } from "./watch.js";

/**
 * Yields the updates of an account's events, across lost connections, without end: those after a cursor, or, without one, from `start` on.
 * `token()` returns a token.
 */
export async function* followEvents(
  events: Client<typeof ConversationEventService>, token: () => Promise<string>, start: EventStart, cursor = "",
) {
  for (let pause = 1_000; ; pause = Math.min(2 * pause, 30_000)) {
    const call = new AbortController();
    let delay = 0;
    try {
      const updates = events.subscribeConversationEvents({ cursor, start }, watching(await token(), call));
      for await (const update of unlessSilent(updates, call)) {
        pause = 1_000;
        yield update; // The program that handles it stores its cursor, in the same transaction.
        cursor = update.cursor;
      }
    } catch (error) {
      const refusal = readRefusal(error);
      if (FINAL.includes(refusal.code)) throw error; // For example CURSOR_TOO_OLD.
      delay = refusal.retryDelayMs;
    } finally {
      call.abort();
    }
    await sleep(delay + pause / 2 + (Math.random() * pause) / 2);
  }
}
