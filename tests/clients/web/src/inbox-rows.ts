// The rows of an inbox that stay as they are on the server: a list, and a watch that goes on where the list was read.
import { useEffect, useReducer } from "preact/hooks";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { ConversationStatus } from "../gen/frontdesk/conversation/v1/conversation_pb";
import type {
  AssigneeFilterSchema,
  InboxRow,
  ListConversationsRequestSchema,
  WatchInboxResponse,
} from "../gen/frontdesk/conversation/v1/conversation_service_pb";
import { explain, type TeamApi } from "./api";
import { follow } from "./follow";
import type { Token } from "./tokens";

/** The pause before a list is read again that could not be watched (milliseconds). */
const PAUSE = 3_000;

export interface Filter {
  status: "open" | "closed" | "all";
  assignee: "anyone" | "me" | "unassigned" | "bots";
}

type Request = MessageInitShape<typeof ListConversationsRequestSchema>;

const STATUSES = { open: [ConversationStatus.OPEN], closed: [ConversationStatus.CLOSED], all: [] };
const ASSIGNEES: Record<Filter["assignee"], MessageInitShape<typeof AssigneeFilterSchema>[]> = {
  anyone: [],
  me: [{ assignee: { case: "me", value: {} } }],
  unassigned: [{ assignee: { case: "unassigned", value: {} } }],
  bots: [{ assignee: { case: "anyBot", value: {} } }],
};

interface Inbox {
  rows: InboxRow[];
  nextPageToken: string;
  isLoaded: boolean;
  isConnected: boolean;
  failure: string;
}

type Event =
  | { kind: "listed"; rows: InboxRow[]; nextPageToken: string; isFirst: boolean }
  | { kind: "row"; row: InboxRow }
  | { kind: "gone"; id: string }
  | { kind: "connected"; is: boolean }
  | { kind: "cleared" }
  | { kind: "failed"; failure: string };

const EMPTY: Inbox = { rows: [], nextPageToken: "", isLoaded: false, isConnected: true, failure: "" };

const milliseconds = (time: Timestamp | undefined) => (time ? timestampMs(time) : 0);

/** Adds rows, or replaces older copies, and puts the newest activity first. */
function merge(known: InboxRow[], rows: InboxRow[]) {
  const byId = new Map(known.map((row) => [row.conversation!.id, row]));
  for (const row of rows) {
    const had = byId.get(row.conversation!.id);
    // A mark as read sends the row again with the same version.
    if (!had || row.conversation!.version >= had.conversation!.version) byId.set(row.conversation!.id, row);
  }
  return [...byId.values()].sort((a, b) => milliseconds(b.conversation!.lastActivityTime) - milliseconds(a.conversation!.lastActivityTime));
}

function change(inbox: Inbox, event: Event): Inbox {
  switch (event.kind) {
    case "listed": {
      const { nextPageToken, isFirst } = event;
      return {
        ...inbox,
        rows: merge(isFirst ? [] : inbox.rows, event.rows),
        nextPageToken,
        isLoaded: true,
        isConnected: true,
        failure: "",
      };
    }
    case "row":
      return { ...inbox, rows: merge(inbox.rows, [event.row]) };
    case "gone":
      return { ...inbox, rows: inbox.rows.filter(({ conversation }) => conversation!.id !== event.id) };
    case "connected":
      return { ...inbox, isConnected: event.is };
    case "cleared":
      return EMPTY;
    case "failed":
      return { ...inbox, isConnected: false, failure: event.failure };
  }
}

export function useInbox(api: TeamApi, token: Token, { status, assignee }: Filter) {
  const [inbox, tell] = useReducer(change, EMPTY);
  const request: Request = { statuses: STATUSES[status], assignees: ASSIGNEES[assignee], pageSize: 50 };
  useEffect(() => {
    const stop = new AbortController();
    const run = async () => {
      tell({ kind: "cleared" });
      while (!stop.signal.aborted) {
        try {
          await listAndWatch(api, token, request, tell, stop.signal);
        } catch (error) {
          // The server does not take the cursor any more, or cannot be reached.
          if (stop.signal.aborted) return;
          token.renew();
          tell({ kind: "failed", failure: explain(error) });
          await new Promise((resume) => setTimeout(resume, PAUSE));
        }
      }
    };
    void run();
    return () => stop.abort();
  }, [status, assignee]);

  const more = async () => {
    try {
      const page = await api.conversations.listConversations({ ...request, pageToken: inbox.nextPageToken });
      tell({ kind: "listed", rows: page.rows, nextPageToken: page.nextPageToken, isFirst: false });
    } catch (error) {
      tell({ kind: "failed", failure: explain(error) });
    }
  };
  return { inbox, more };
}

async function listAndWatch(api: TeamApi, token: Token, request: Request, tell: (event: Event) => void, stop: AbortSignal) {
  const page = await api.conversations.listConversations(request);
  if (stop.aborted) return;
  tell({ kind: "listed", rows: page.rows, nextPageToken: page.nextPageToken, isFirst: true });
  let cursor = page.watchCursor;
  await follow<WatchInboxResponse>(
    {
      open: (signal) => api.conversations.watchInbox({ inbox: request, cursor }, { signal }),
      take: (response) => {
        cursor = response.cursor || cursor;
        if (response.update.case === "row") tell({ kind: "row", row: response.update.value });
        if (response.update.case === "goneConversationId") tell({ kind: "gone", id: response.update.value });
      },
      connected: (is) => tell({ kind: "connected", is }),
      token,
    },
    stop,
  );
}
