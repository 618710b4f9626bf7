// The state of a chat in the widget: what a watch says, and what is being sent.
import { useEffect, useReducer } from "preact/hooks";
import type { ChatEntry } from "../gen/frontdesk/conversation/v1/chat_pb";
import type { ChatQueuePlace, ChatState, WatchChatResponse } from "../gen/frontdesk/conversation/v1/visitor_service_pb";
import { explain, requestId, type VisitorApi } from "./api";
import { follow } from "./follow";
import type { Token } from "./tokens";
import { mediaType, put } from "./upload";

/** How long a typing signal is shown (milliseconds). */
const TYPING = 8_000;

/** A message that the watch has not brought back yet. */
export interface Outgoing {
  requestId: string;
  text: string;
  files: File[];
  /** Empty: it is on its way. */
  failure: string;
  send: (again: Outgoing) => Promise<unknown>;
}

export interface Chat {
  entries: ChatEntry[];
  outgoing: Outgoing[];
  state: ChatState | undefined;
  place: ChatQueuePlace | undefined;
  typing: string;
  teamRead: number;
  isConnected: boolean;
  isLoaded: boolean;
  /** Why the chat cannot be followed. */
  failure: string;
}

type Event =
  | { kind: "update"; update: WatchChatResponse["update"] }
  | { kind: "connected"; is: boolean }
  | { kind: "outgoing"; message: Outgoing }
  | { kind: "quiet" }
  | { kind: "failed"; failure: string };

const EMPTY: Chat = {
  entries: [],
  outgoing: [],
  state: undefined,
  place: undefined,
  typing: "",
  teamRead: 0,
  isConnected: true,
  isLoaded: false,
  failure: "",
};

function change(chat: Chat, event: Event): Chat {
  switch (event.kind) {
    case "connected":
      // A new watch sends the place again if the chat still waits.
      return event.is ? { ...chat, isConnected: true } : { ...chat, isConnected: false, place: undefined };
    case "outgoing": {
      const others = chat.outgoing.filter(({ requestId }) => requestId !== event.message.requestId);
      const isBack = chat.entries.some(({ requestId }) => requestId === event.message.requestId);
      return isBack ? chat : { ...chat, outgoing: [...others, event.message] };
    }
    case "quiet":
      return { ...chat, typing: "" };
    case "failed":
      return { ...chat, failure: event.failure };
    case "update":
      return applyUpdate(chat, event.update);
  }
}

function applyUpdate(chat: Chat, update: WatchChatResponse["update"]): Chat {
  switch (update.case) {
    case "entry": {
      const entry = update.value;
      return {
        ...chat,
        entries: [...chat.entries, entry],
        outgoing: chat.outgoing.filter(({ requestId }) => !entry.requestId || requestId !== entry.requestId),
        typing: entry.requestId ? chat.typing : "",
      };
    }
    case "caughtUp":
      return { ...chat, isLoaded: true };
    case "typing":
      return { ...chat, typing: update.value.author?.name || "Somebody" };
    case "queuePlace":
      return { ...chat, place: update.value.aboutPlace > 0 ? update.value : undefined };
    case "state":
      return { ...chat, state: update.value };
    case "teamMarks":
      return { ...chat, teamRead: Math.max(chat.teamRead, update.value.readVisitorSequence) };
    default:
      return chat; // A heartbeat, or an update of a later version.
  }
}

/** Follows a chat, and says how far the visitor has read it. */
export function useChat(visitors: VisitorApi, token: Token, chatId: string) {
  const [chat, tell] = useReducer(change, EMPTY);
  useEffect(() => {
    const stop = new AbortController();
    let after = 0;
    let quiet = 0;
    follow<WatchChatResponse>(
      {
        open: (signal) => visitors.watchChat({ chatId, afterVisitorSequence: after }, { signal }),
        take: ({ update }) => {
          if (update.case === "entry") after = update.value.visitorSequence;
          if (update.case === "typing") {
            clearTimeout(quiet);
            quiet = window.setTimeout(() => tell({ kind: "quiet" }), TYPING);
          }
          tell({ kind: "update", update });
        },
        connected: (is) => tell({ kind: "connected", is }),
        token,
      },
      stop.signal,
    ).catch((error) => tell({ kind: "failed", failure: explain(error) }));
    return () => {
      clearTimeout(quiet);
      stop.abort();
    };
  }, [chatId]);

  const last = chat.entries.at(-1)?.visitorSequence ?? 0;
  useEffect(() => {
    if (!last) return;
    const mark = () => {
      const marks = document.hidden ? { deliveredVisitorSequence: last } : { readVisitorSequence: last };
      visitors.markChatRead({ chatId, ...marks }).catch(() => {}); // The next mark counts for both.
    };
    mark();
    document.addEventListener("visibilitychange", mark);
    return () => document.removeEventListener("visibilitychange", mark);
  }, [chatId, last]);

  /** Sends, and keeps what failed so that it can be sent again with the same request id. */
  const send = async (message: Outgoing) => {
    tell({ kind: "outgoing", message: { ...message, failure: "" } });
    try {
      await message.send(message);
    } catch (error) {
      tell({ kind: "outgoing", message: { ...message, failure: explain(error) } });
    }
  };
  const outgoing = (text: string, files: File[], call: Outgoing["send"]) =>
    send({ requestId: requestId(), text, files, failure: "", send: call });

  return {
    chat,
    again: send,
    sendText: (text: string) => outgoing(text, [], ({ requestId, text }) => visitors.sendMessage({ chatId, text, requestId })),
    choose: (visitorSequence: number, buttonId: string, label: string) =>
      outgoing(label, [], ({ requestId }) => visitors.chooseButton({ chatId, visitorSequence, buttonId, requestId })),
    sendFiles: (files: File[]) =>
      outgoing("", files, async ({ requestId, files }) => {
        const attachmentIds: string[] = [];
        for (const [at, file] of files.entries()) {
          const announced = { chatId, fileName: file.name, mediaType: mediaType(file), sizeBytes: file.size };
          const { attachment, upload } = await visitors.createChatAttachment({ ...announced, requestId: `${requestId}.${at}` });
          if (upload) await put(file, upload);
          attachmentIds.push(attachment!.id);
        }
        await visitors.sendMessage({ chatId, attachmentIds, requestId });
      }),
    signalTyping: () => void visitors.signalTyping({ chatId }).catch(() => {}), // Shown for seconds; lost ones do not matter.
  };
}
