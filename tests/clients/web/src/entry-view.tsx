// An entry of a thread, as the team sees it.
import type { ComponentChildren } from "preact";
import { type Actor, ActorKind } from "../gen/frontdesk/actor/v1/actor_pb";
import type { Agent } from "../gen/frontdesk/assignment/v1/agent_pb";
import { AssignmentCause } from "../gen/frontdesk/assignment/v1/assignment_pb";
import { CloseReason } from "../gen/frontdesk/conversation/v1/close_reason_pb";
import type { AssigneeChangedEntry, Comment, Entry } from "../gen/frontdesk/conversation/v1/entry_pb";
import { TicketStatus } from "../gen/frontdesk/conversation/v1/ticket_pb";
import { Attachments, Insert, Text, When } from "./content";

const KINDS: Partial<Record<ActorKind, string>> = {
  [ActorKind.VISITOR]: "Visitor",
  [ActorKind.BOT]: "Bot",
  [ActorKind.SYSTEM]: "Frontdesk",
  [ActorKind.ADMIN]: "Administrator",
};
const CLOSES: Partial<Record<CloseReason, string>> = {
  [CloseReason.VISITOR_INACTIVE]: ", because the visitor wrote nothing",
  [CloseReason.BOT_COMPLETED]: ", at the end of the bot's flow",
};
const CAUSES: Partial<Record<AssignmentCause, string>> = {
  [AssignmentCause.ROUTED]: " (routed)",
  [AssignmentCause.REOPENED]: " (reopened)",
  [AssignmentCause.HANDED_OFF]: " (handed off)",
};

const nameOf = (actor: Actor | undefined) => actor?.name || (actor && KINDS[actor.kind]) || "An agent";

interface Props {
  entry: Entry;
  agents: Agent[];
  isSeen: boolean;
  link: (attachmentId: string) => Promise<string>;
}

export function EntryView({ entry, agents, isSeen, link }: Props) {
  const { content, author, createTime } = entry;
  const who = nameOf(author);
  if (content.case === "message") {
    const ofTeam = author?.kind !== ActorKind.VISITOR;
    const { text, richText, inserts, attachments, buttons } = content.value;
    return (
      <article class={ofTeam ? "message own" : "message"}>
        <p class="who">
          {who} <When at={createTime} />
          {ofTeam && isSeen && <span class="quiet"> · Seen</span>}
        </p>
        <Text text={text} rich={richText} />
        {inserts.map((insert, at) => (
          <Insert key={at} insert={insert} />
        ))}
        {attachments.length > 0 && <Attachments items={attachments} link={link} />}
        {buttons.length > 0 && <p class="quiet">Offers: {buttons.map(({ label }) => label).join(", ")}</p>}
      </article>
    );
  }
  if (content.case === "comment") {
    return (
      <article class="message comment">
        <p class="who">
          {who}, for the team only <When at={createTime} />
        </p>
        <p class="text">{withMentions(content.value, agents)}</p>
      </article>
    );
  }
  const event = described(content, who);
  return event ? (
    <p class="event">
      {event} <When at={createTime} />
    </p>
  ) : null;
}

function described(content: Entry["content"], who: string): string {
  switch (content.case) {
    case "assigneeChanged":
      return ownerChange(content.value, who);
    case "handedOff":
      return `${who} handed the chat off${content.value.reason ? `: ${content.value.reason}` : "."}`;
    case "closed":
      return `${who} closed the chat${CLOSES[content.value.reason] ?? ""}.`;
    case "reopened":
      return `${who} reopened the chat.`;
    case "contactLinked":
      return "The chat was linked to a contact.";
    case "ticketCreated":
      return `${who} created a ticket.`;
    case "ticketUpdated": {
      const { status, subject } = content.value;
      if (status === TicketStatus.CLOSED) return `${who} closed a ticket.`;
      return subject ? `${who} renamed a ticket: ${subject}` : `${who} changed a ticket.`;
    }
    case "transcriptSent":
      return content.value.manual ? `${who} mailed the transcript.` : "The transcript was mailed.";
    case "visitorSignedIn":
      return "The visitor signed in.";
    case "addressLeft":
      return `The visitor left the address ${content.value.email}.`;
    case "erased":
      return "An entry was erased.";
    case "contactErased":
      return "The contact was erased.";
    default:
      return ""; // A later version's.
  }
}

function ownerChange({ newOwner, previousOwner, cause }: AssigneeChangedEntry, who: string) {
  const why = CAUSES[cause] ?? "";
  if (!newOwner) return `${who} made the chat unassigned${why}.`;
  const owner = nameOf(newOwner);
  const from = previousOwner ? ` from ${nameOf(previousOwner)}` : "";
  return owner === who ? `${owner} took the chat over${from}${why}.` : `The chat was assigned to ${owner}${from}${why}.`;
}

/** The text with its mentions marked. Ranges count code points. */
function withMentions({ text, mentions }: Comment, agents: Agent[]): ComponentChildren {
  const characters = [...text];
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const { start, length, agentId } of mentions) {
    parts.push(characters.slice(at, start).join(""));
    const name = agents.find(({ id }) => id === agentId)?.name;
    parts.push(
      <mark key={start} title={name}>
        {characters.slice(start, start + length).join("")}
      </mark>,
    );
    at = start + length;
  }
  parts.push(characters.slice(at).join(""));
  return parts;
}
