import type { Client } from "@connectrpc/connect";
import { calling } from "./connect.js";
import { expect } from "./expect.js";
import type { ChatEntry, Chat, ChatMessage } from "./gen/frontdesk/conversation/v1/chat_pb.js";
import type { VisitorService } from "./gen/frontdesk/conversation/v1/visitor_service_pb.js";
import { download, upload } from "./upload.js";
import { watchChat } from "./watch.js";

/** What a page does for its visitor. */
export class Widget {
  chat!: Chat;
  private entries?: AsyncGenerator<ChatEntry>;
  private seen = 0;

  constructor(
    readonly client: Client<typeof VisitorService>, readonly token: string, readonly channelId: string, private readonly print: (line: string) => void,
  ) {}

  /** Starts a chat, or goes on with the open one, and watches it. */
  async start() {
    const start = { channelId: this.channelId, pageUrl: "https://shop.example/wheels", pageTitle: "Wheels", requestId: crypto.randomUUID() };
    this.chat = (await this.client.startChat(start, calling(this.token))).chat!;
    await this.stop();
    this.entries = watchChat(this.client, this.chat.id, async () => this.token);
    this.seen = 0;
  }

  async stop() {
    await this.entries?.return(undefined);
  }

  /** Reads the chat up to the entry that is wanted. */
  async until(wanted: (entry: ChatEntry) => boolean) {
    for (;;) {
      const entry: ChatEntry = (await this.entries!.next()).value;
      expect(entry.visitorSequence, ++this.seen); // No gap, no repeat.
      this.print(`${entry.visitorSequence}. ${entry.author?.name || "visitor"}: ${message(entry)?.text ?? entry.content.case}`);
      if (wanted(entry)) return entry;
    }
  }

  untilText(text: string) {
    return this.until((entry) => message(entry)?.text === text);
  }

  untilEnded() {
    return this.until((entry) => entry.content.case === "ended");
  }

  async send(text: string, attachmentIds: string[] = []) {
    await this.client.sendMessage({ chatId: this.chat.id, text, attachmentIds, requestId: crypto.randomUUID() }, calling(this.token));
  }

  /** Uploads a file of the visitor, which goes with a message; returns the attachment's id. */
  async attach(fileName: string, content: string) {
    const announced = { chatId: this.chat.id, fileName, sizeBytes: new TextEncoder().encode(content).length, requestId: crypto.randomUUID() };
    const created = await this.client.createChatAttachment(announced, calling(this.token));
    await upload(created.upload!, content);
    return created.attachment!.id;
  }

  /** Downloads the first file of an entry. The link is made when somebody opens the file. */
  async open(entry: ChatEntry) {
    const { attachmentId } = message(entry)!.attachments[0]!;
    const opened = { chatId: this.chat.id, visitorSequence: entry.visitorSequence, attachmentId };
    return download((await this.client.createChatAttachmentLink(opened, calling(this.token))).url);
  }
}

/** The message of an entry that is one. */
export function message(entry: ChatEntry): ChatMessage | undefined {
  return entry.content.case === "message" ? entry.content.value : undefined;
}
