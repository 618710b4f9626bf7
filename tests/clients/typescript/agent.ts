import { createClient, type Transport } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { calling, sleep } from "./connect.js";
import { expect } from "./expect.js";
import { AssignmentService } from "./gen/frontdesk/assignment/v1/assignment_service_pb.js";
import { AttachmentStatus } from "./gen/frontdesk/conversation/v1/attachment_pb.js";
import { AttachmentService } from "./gen/frontdesk/conversation/v1/attachment_service_pb.js";
import { ConversationService } from "./gen/frontdesk/conversation/v1/conversation_service_pb.js";
import { InsertService } from "./gen/frontdesk/conversation/v1/insert_service_pb.js";
import { ThreadService, type PostMessageRequestSchema } from "./gen/frontdesk/conversation/v1/thread_service_pb.js";
import { TranscriptPart, TranscriptService } from "./gen/frontdesk/notification/v1/transcript_service_pb.js";
import { upload } from "./upload.js";

/** What an agent's program does in one conversation. */
export class Agent {
  constructor(private readonly transport: Transport, readonly token: string, readonly id: string, readonly conversationId: string) {}

  async conversation() {
    const get = { conversationId: this.conversationId };
    return (await createClient(ConversationService, this.transport).getConversation(get, calling(this.token))).conversation!;
  }

  /** Takes the conversation from its owner, as the agent saw them: if they changed meanwhile, it is refused. */
  async takeOver() {
    const { epoch } = await this.conversation();
    const take = { conversationId: this.conversationId, expectedEpoch: epoch, requestId: crypto.randomUUID() };
    await createClient(AssignmentService, this.transport).takeOverConversation(take, calling(this.token));
  }

  /** Posts a message. The conversation and the request id are added. */
  async post(message: MessageInitShape<typeof PostMessageRequestSchema>) {
    const post = { conversationId: this.conversationId, requestId: crypto.randomUUID(), ...message };
    return (await createClient(ThreadService, this.transport).postMessage(post, calling(this.token))).entry!;
  }

  /** Uploads a file as a back end does; returns the attachment's id. */
  async attach(fileName: string, content: string) {
    const files = createClient(AttachmentService, this.transport);
    const sizeBytes = new TextEncoder().encode(content).length;
    const announced = { conversationId: this.conversationId, fileName, sizeBytes, requestId: crypto.randomUUID() };
    const created = await files.createAttachment(announced, calling(this.token));
    await upload(created.upload!, content);
    const stored = (await files.getAttachment({ attachmentId: created.attachment!.id }, calling(this.token))).attachment!;
    expect(stored.status, AttachmentStatus.READY);
    return stored.id;
  }

  /** Adds a snippet to the library; returns its id. Sending fills the placeholder. */
  async insert() {
    const content = { case: "snippet" as const, value: { text: "{{agent.name}} is here until six." } };
    const insert = { title: "Opening hours", content, requestId: crypto.randomUUID() };
    return (await createClient(InsertService, this.transport).createInsert(insert, calling(this.token))).insert!.id;
  }

  /** Writes a comment, which only the team sees, with a mention of a colleague at its beginning. */
  async mention(agentId: string) {
    const mentions = [{ start: 0, length: "@Grace".length, agentId }];
    const comment = {
      conversationId: this.conversationId, text: "@Grace: a squeaking saddle, too", mentions, requestId: crypto.randomUUID(),
    };
    await createClient(ThreadService, this.transport).postComment(comment, calling(this.token));
  }

  /** Waits until the conversation is found by the words, about a second after they were written. */
  async search(query: string) {
    const conversations = createClient(ConversationService, this.transport);
    for (;;) {
      const { matches } = await conversations.searchConversations({ query }, calling(this.token));
      if (matches.some((match) => match.row!.conversation!.id === this.conversationId)) return;
      await sleep(50);
    }
  }

  async close() {
    const close = { conversationId: this.conversationId, requestId: crypto.randomUUID() };
    await createClient(ConversationService, this.transport).closeConversation(close, calling(this.token));
  }

  /** The text of the transcript, which is read in parts of at most 1 MiB. */
  async preview() {
    const transcripts = createClient(TranscriptService, this.transport);
    const decoder = new TextDecoder();
    let [text, offset] = ["", 0];
    for (;;) {
      const wanted = { conversationId: this.conversationId, part: TranscriptPart.TEXT, offset };
      const part = await transcripts.previewTranscript(wanted, calling(this.token));
      text += decoder.decode(part.content, { stream: true });
      offset += part.content.length;
      if (part.content.length === 0 || offset >= part.totalSize) return text;
    }
  }
}
