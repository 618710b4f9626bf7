// The contact of a conversation, with their other chats and their tickets.
import { useEffect, useState } from "preact/hooks";
import type { Contact } from "../gen/frontdesk/conversation/v1/contact_pb";
import { type Conversation, ConversationStatus } from "../gen/frontdesk/conversation/v1/conversation_pb";
import type { InboxRow } from "../gen/frontdesk/conversation/v1/conversation_service_pb";
import { type Ticket, TicketStatus } from "../gen/frontdesk/conversation/v1/ticket_pb";
import { explain, requestId, type TeamApi } from "./api";
import { Failure, Link, When } from "./content";

interface Props {
  conversation: Conversation;
  api: TeamApi;
  /** Rises when a ticket of the conversation changed. */
  changes: number;
  select: (conversationId: string) => void;
  /** On narrow screens, where it covers the thread. */
  isShown: boolean;
  hide: () => void;
}

export function ContactPane({ conversation, api, changes, select, isShown, hide }: Props) {
  const { id: conversationId, contactId, pageUrl, pageTitle, properties } = conversation;
  const [contact, setContact] = useState<Contact>();
  const [others, setOthers] = useState<InboxRow[]>([]);
  const [tickets, setTickets] = useState<Ticket[]>([]);
  const [failure, setFailure] = useState("");
  const readTickets = async () => setTickets((await api.tickets.listTickets({ contactId, pageSize: 50 })).tickets);

  useEffect(() => {
    if (!contactId) return;
    const read = async () => {
      const [found, rows] = await Promise.all([
        api.contacts.getContact({ contactId }),
        api.conversations.listConversations({ contactIds: [contactId], pageSize: 50 }),
        readTickets(),
      ]);
      setContact(found.contact);
      setOthers(rows.rows.filter((row) => row.conversation!.id !== conversationId));
    };
    read().catch((error) => setFailure(explain(error)));
  }, [contactId, conversationId, changes]);

  const act = async (call: () => Promise<unknown>) => {
    setFailure("");
    try {
      await call();
      await readTickets();
    } catch (error) {
      setFailure(explain(error));
    }
  };
  return (
    <aside class={isShown ? "contact shown" : "contact"} aria-label="Contact">
      <button type="button" class="narrow" onClick={hide}>
        Back to the thread
      </button>
      <h2>{contact?.name || contact?.emails[0]?.email || "Unknown visitor"}</h2>
      <Failure text={failure} />
      {contact && <Facts contact={contact} />}
      <h3>This chat</h3>
      <p>
        Began on <Link url={pageUrl}>{pageTitle || pageUrl}</Link>
      </p>
      <Properties properties={properties} />
      {contactId ? (
        <Tickets
          tickets={tickets}
          create={(subject) => act(() => api.tickets.createTicket({ conversationId, subject, requestId: requestId() }))}
          close={({ id, etag }) => act(() => api.tickets.updateTicket({ ticketId: id, status: TicketStatus.CLOSED, etag }))}
        />
      ) : (
        <p class="quiet">There is no contact until an address is known.</p>
      )}
      <h3>Other chats</h3>
      {others.length === 0 ? (
        <p class="quiet">None.</p>
      ) : (
        <ul class="plain">
          {others.map(({ conversation: other, lastEntry }) => (
            <li key={other!.id}>
              <button type="button" onClick={() => select(other!.id)}>
                <When at={other!.createTime} /> {lastEntry?.content.case === "message" ? lastEntry.content.value.text.slice(0, 60) : "Chat"}
                <span class="quiet"> {other!.status === ConversationStatus.OPEN ? "open" : "closed"}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </aside>
  );
}

const Facts = ({ contact }: { contact: Contact }) => (
  <>
    <ul class="plain">
      {contact.emails.map(({ email, verified }) => (
        <li key={email}>
          {email} <span class="quiet">{verified ? "verified" : "not verified"}</span>
        </li>
      ))}
      {contact.phone && <li>{contact.phone}</li>}
      {contact.timeZone && <li>{contact.timeZone}</li>}
    </ul>
    <Properties properties={contact.properties} />
  </>
);

const Properties = ({ properties }: { properties: Record<string, string> }) => {
  const pairs = Object.entries(properties);
  return pairs.length === 0 ? null : (
    <dl>
      {pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
};

function Tickets({ tickets, create, close }: { tickets: Ticket[]; create: (subject: string) => void; close: (ticket: Ticket) => void }) {
  const [subject, setSubject] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    if (!subject.trim()) return;
    create(subject);
    setSubject("");
  };
  return (
    <>
      <h3>Tickets</h3>
      <ul class="plain">
        {tickets.map((ticket) => (
          <li key={ticket.id}>
            {ticket.url ? <Link url={ticket.url}>{ticket.subject}</Link> : ticket.subject}{" "}
            {ticket.status === TicketStatus.OPEN ? (
              <button type="button" onClick={() => close(ticket)}>
                Close<span class="unseen"> the ticket {ticket.subject}</span>
              </button>
            ) : (
              <span class="quiet">closed</span>
            )}
          </li>
        ))}
      </ul>
      <form class="row" onSubmit={submit}>
        <label class="unseen" for="ticket">
          Subject of a new ticket
        </label>
        <input
          id="ticket"
          maxLength={300}
          placeholder="New ticket"
          value={subject}
          onInput={(event) => setSubject(event.currentTarget.value)}
        />
        <button type="submit">Create</button>
      </form>
    </>
  );
}
