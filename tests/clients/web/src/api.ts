// The clients of the services that the pages call, over gRPC-Web on the address that served the page.
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { AssignmentService } from "../gen/frontdesk/assignment/v1/assignment_service_pb";
import { AvailabilityService } from "../gen/frontdesk/assignment/v1/availability_service_pb";
import { RosterService } from "../gen/frontdesk/assignment/v1/roster_service_pb";
import { BotService } from "../gen/frontdesk/botsession/v1/bot_service_pb";
import { AttachmentService } from "../gen/frontdesk/conversation/v1/attachment_service_pb";
import { ChannelService } from "../gen/frontdesk/conversation/v1/channel_service_pb";
import { ContactService } from "../gen/frontdesk/conversation/v1/contact_service_pb";
import { ConversationService } from "../gen/frontdesk/conversation/v1/conversation_service_pb";
import { InsertService } from "../gen/frontdesk/conversation/v1/insert_service_pb";
import { ThreadService } from "../gen/frontdesk/conversation/v1/thread_service_pb";
import { TicketService } from "../gen/frontdesk/conversation/v1/ticket_service_pb";
import { VisitorService } from "../gen/frontdesk/conversation/v1/visitor_service_pb";
import { SenderService } from "../gen/frontdesk/notification/v1/sender_service_pb";
import { TranscriptService } from "../gen/frontdesk/notification/v1/transcript_service_pb";
import { readRefusal } from "../refusal";
import type { Token } from "./tokens";

function transport(token: Token) {
  const bearer: Interceptor = (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await token.get()}`);
    return next(request);
  };
  return createGrpcWebTransport({ baseUrl: location.origin, interceptors: [bearer] });
}

/** What a visitor calls, or a page with a widget token. */
export const visitorApi = (token: Token) => createClient(VisitorService, transport(token));
export type VisitorApi = ReturnType<typeof visitorApi>;

/** What the team calls. */
export function teamApi(token: Token) {
  const over = transport(token);
  return {
    assignments: createClient(AssignmentService, over),
    attachments: createClient(AttachmentService, over),
    availability: createClient(AvailabilityService, over),
    bots: createClient(BotService, over),
    channels: createClient(ChannelService, over),
    contacts: createClient(ContactService, over),
    conversations: createClient(ConversationService, over),
    inserts: createClient(InsertService, over),
    roster: createClient(RosterService, over),
    senders: createClient(SenderService, over),
    threads: createClient(ThreadService, over),
    tickets: createClient(TicketService, over),
    transcripts: createClient(TranscriptService, over),
  };
}
export type TeamApi = ReturnType<typeof teamApi>;

/** The request id of a new write. A repeat of the write has the same one. */
export const requestId = () => crypto.randomUUID();

/** Why a call failed, for the person in front of the page. */
export function explain(error: unknown): string {
  const { name, reason, metadata } = readRefusal(error);
  const owner = metadata["owner_name"] || metadata["owner_id"];
  switch (reason) {
    case "OWNERSHIP_CHANGED":
      return owner ? `Somebody else was faster: ${owner} has the chat now.` : "Somebody else was faster: the owner has changed.";
    case "BOT_IN_CHARGE":
      return "A bot answers this chat. Take it over first.";
    case "CONVERSATION_CLOSED":
      return "This chat has ended.";
    case "BUTTON_NOT_OFFERED":
      return "This choice is not offered any more.";
    case "ATTACHMENT_TYPE_NOT_ALLOWED":
      return "Files of this type are not allowed.";
    case "ATTACHMENT_TOO_LARGE":
      return "This file is too large.";
    case "RATE_LIMITED":
      return "That was too fast. Please try again in a moment.";
    default: {
      const message = error instanceof Error ? error.message : String(error);
      return reason ? `${message} (${name}, ${reason})` : message;
    }
  }
}
