import type { Client } from "@connectrpc/connect";
import { calling, sleep, unlessSilent, watching } from "./connect.js";
import { ConversationStatus } from "./gen/frontdesk/conversation/v1/conversation_pb.js";
import type { ConversationService, InboxRow, WatchInboxResponse } from "./gen/frontdesk/conversation/v1/conversation_service_pb.js";
import { readRefusal } from "./refusal.js";
import { FINAL } from "./watch.js";

type Rows = Map<string, InboxRow>;

/** A channel's open conversations, as an agent's program shows them: a list, and watches that go on from where it was read. */
export class Inbox {
  rows: Rows = new Map();
  /** Is called when a stream has ended. */
  lost = async () => {};
  private cursor = "";
  private readonly request;

  constructor(private readonly client: Client<typeof ConversationService>, private readonly token: string, channelId: string) {
    this.request = { channelIds: [channelId], statuses: [ConversationStatus.OPEN] };
  }

  async list() {
    const page = await this.client.listConversations(this.request, calling(this.token));
    this.rows = new Map(page.rows.map((row) => [row.conversation!.id, row]));
    this.cursor = page.watchCursor;
    return this;
  }

  /** Keeps the rows up to date, across lost connections, until they are as wanted. */
  async watchUntil(wanted: (rows: Rows) => boolean) {
    for (let pause = 250; ; pause = Math.min(2 * pause, 30_000)) {
      const call = new AbortController();
      let delay = 0;
      try {
        const stream = this.client.watchInbox({ inbox: this.request, cursor: this.cursor }, watching(this.token, call));
        for await (const response of unlessSilent(stream, call)) {
          pause = 250;
          this.update(response);
          if (wanted(this.rows)) return;
        }
      } catch (error) {
        const refusal = readRefusal(error);
        if (FINAL.includes(refusal.code)) throw error;
        delay = refusal.retryDelayMs;
      } finally {
        call.abort();
      }
      await this.lost();
      await sleep(delay + Math.random() * pause);
    }
  }

  private update({ update, cursor }: WatchInboxResponse) {
    if (cursor) this.cursor = cursor;
    if (update.case === "row") { // Others are skipped, also those of later versions.
      const { id, version } = update.value.conversation!;
      const shown = this.rows.get(id)?.conversation;
      if (!shown || shown.version <= version) this.rows.set(id, update.value);
    } else if (update.case === "goneConversationId") {
      this.rows.delete(update.value);
    }
  }
}

/** The text of the newest message of a row. */
export function lastText(row?: InboxRow) {
  const content = row?.lastEntry?.content;
  return content?.case === "message" ? content.value.text : "";
}
