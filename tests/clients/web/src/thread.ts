// A thread as the team sees it, and the state of its conversation.
import { useEffect, useReducer, useState } from "preact/hooks";
import type { Conversation } from "../gen/frontdesk/conversation/v1/conversation_pb";
import type { Entry } from "../gen/frontdesk/conversation/v1/entry_pb";
import type { VisitorMarks, WatchThreadResponse } from "../gen/frontdesk/conversation/v1/thread_service_pb";
import { explain, type TeamApi } from "./api";
import { follow } from "./follow";
import type { Token } from "./tokens";

/** How long a typing signal is shown (milliseconds). */
const TYPING = 8_000;
/** Number of entries that are read when a thread is opened, and for each step back. */
const PAGE = 100;

interface Thread {
  entries: Entry[];
  typing: string;
  marks: VisitorMarks | undefined;
  isLoaded: boolean;
  isConnected: boolean;
  failure: string;
}

type Event =
  | { kind: "entries"; entries: Entry[] }
  | { kind: "earlier"; entries: Entry[] }
  | { kind: "typing"; who: string }
  | { kind: "marks"; marks: VisitorMarks }
  | { kind: "loaded" }
  | { kind: "connected"; is: boolean }
  | { kind: "cleared" }
  | { kind: "failed"; failure: string };

const EMPTY: Thread = { entries: [], typing: "", marks: undefined, isLoaded: false, isConnected: true, failure: "" };

function change(thread: Thread, event: Event): Thread {
  switch (event.kind) {
    case "entries":
      return { ...thread, entries: [...thread.entries, ...event.entries], typing: "" };
    case "earlier":
      return { ...thread, entries: [...event.entries, ...thread.entries] };
    case "typing":
      return { ...thread, typing: event.who };
    case "marks":
      return { ...thread, marks: event.marks };
    case "loaded":
      return { ...thread, isLoaded: true };
    case "connected":
      return { ...thread, isConnected: event.is };
    case "cleared":
      return EMPTY;
    case "failed":
      return { ...thread, failure: event.failure };
  }
}

export function useThread(api: TeamApi, token: Token, agentId: string, conversationId: string) {
  const [thread, tell] = useReducer(change, EMPTY);
  const [conversation, setConversation] = useState<Conversation>();
  // Rises when entries that were read before changed: an erasure of the contact.
  const [readings, setReadings] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    let quiet = 0;
    const run = async () => {
      tell({ kind: "cleared" });
      const found = (await api.conversations.getConversation({ conversationId })).conversation!;
      setConversation(found);
      let after = Math.max(0, found.lastSequence - PAGE);
      await follow<WatchThreadResponse>(
        {
          open: (signal) => api.threads.watchThread({ conversationId, afterSequence: after }, { signal }),
          take: ({ update }) => {
            if (update.case === "entry") {
              after = update.value.sequence;
              tell({ kind: "entries", entries: [update.value] });
              if (update.value.content.case === "contactErased" && after > found.lastSequence) setReadings((times) => times + 1);
            }
            if (update.case === "caughtUp") tell({ kind: "loaded" });
            if (update.case === "visitorMarks") tell({ kind: "marks", marks: update.value });
            if (update.case === "typing" && update.value.author?.id !== agentId) {
              tell({ kind: "typing", who: update.value.author?.name || "The visitor" });
              clearTimeout(quiet);
              quiet = window.setTimeout(() => tell({ kind: "typing", who: "" }), TYPING);
            }
          },
          connected: (is) => tell({ kind: "connected", is }),
          token,
        },
        stop.signal,
      );
    };
    run().catch((error) => {
      if (!stop.signal.aborted) tell({ kind: "failed", failure: explain(error) });
    });
    return () => {
      clearTimeout(quiet);
      stop.abort();
    };
  }, [conversationId, readings]);

  const last = thread.entries.at(-1)?.sequence ?? 0;
  const readConversation = async () => {
    try {
      const { conversation: found } = await api.conversations.getConversation({ conversationId });
      setConversation((had) => (had && had.version > found!.version ? had : found));
    } catch {
      // The next entry reads it again.
    }
  };
  useEffect(() => {
    if (!last) return;
    void readConversation();
    if (!document.hidden) api.threads.markRead({ conversationId, sequence: last }).catch(() => {}); // The next mark counts for both.
  }, [conversationId, last]);

  const first = thread.entries[0]?.sequence ?? 1;
  const earlier = async () => {
    const range = { afterSequence: Math.max(0, first - 1 - PAGE), untilSequence: first - 1, pageSize: PAGE };
    try {
      const entries: Entry[] = [];
      for (let hasMore = true; hasMore; range.afterSequence = entries.at(-1)!.sequence) {
        const page = await api.threads.listEntries({ conversationId, ...range });
        entries.push(...page.entries);
        hasMore = page.hasMore && entries.length > 0 && entries.at(-1)!.sequence < range.untilSequence;
      }
      tell({ kind: "earlier", entries });
    } catch (error) {
      tell({ kind: "failed", failure: explain(error) });
    }
  };
  return { thread, conversation, readConversation, hasEarlier: first > 1, earlier };
}
