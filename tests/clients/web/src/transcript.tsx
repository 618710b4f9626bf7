// Why a transcript was or was not sent, and 'Email chat transcript'.
import { Code } from "@connectrpc/connect";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Contact } from "../gen/frontdesk/conversation/v1/contact_pb";
import { type Conversation, ConversationStatus } from "../gen/frontdesk/conversation/v1/conversation_pb";
import { DeliveryStatus } from "../gen/frontdesk/notification/v1/delivery_pb";
import { type ExplainTranscriptResponse, TranscriptPart } from "../gen/frontdesk/notification/v1/transcript_service_pb";
import { readRefusal } from "../refusal";
import { explain, requestId, type TeamApi } from "./api";
import { Failure } from "./content";

/** The pause before a decision or a delivery that is in progress is read again, and how often (milliseconds). */
const [PAUSE, TRIES] = [1_000, 60];

const STATES: Partial<Record<DeliveryStatus, string>> = {
  [DeliveryStatus.QUEUED]: "waits to be sent",
  [DeliveryStatus.SENDING]: "is being sent",
  [DeliveryStatus.SENT]: "was sent",
  [DeliveryStatus.FAILED]: "failed",
  [DeliveryStatus.PARKED]: "is parked: its outcome is unknown",
  [DeliveryStatus.CANCELLED]: "was cancelled",
};

interface Props {
  conversation: Conversation;
  api: TeamApi;
  /** Rises when a transcript of the conversation was sent. */
  changes: number;
}

export function Transcript({ conversation, api, changes }: Props) {
  const { id: conversationId, closeNumber, status } = conversation;
  const [explained, setExplained] = useState<ExplainTranscriptResponse>();
  const [isAsking, setAsking] = useState(false);
  const [failure, setFailure] = useState("");
  const isClosed = status === ConversationStatus.CLOSED;

  useEffect(() => {
    if (!isClosed) return;
    let timer = 0;
    const ask = async (tries: number) => {
      let isPending = true;
      try {
        const answer = await api.transcripts.explainTranscript({ conversationId, closeNumber });
        setExplained(answer);
        isPending = [DeliveryStatus.QUEUED, DeliveryStatus.SENDING].includes(answer.delivery?.status ?? DeliveryStatus.SENT);
      } catch (error) {
        if (readRefusal(error).code !== Code.NotFound) return setFailure(explain(error)); // Not found: it is not decided yet.
      }
      if (isPending && tries > 1) timer = window.setTimeout(() => ask(tries - 1), PAUSE);
    };
    void ask(TRIES);
    return () => clearTimeout(timer);
  }, [conversationId, closeNumber, isClosed, changes]);

  if (!isClosed) return null;
  const { decision, delivery } = explained ?? {};
  return (
    <section class="transcript" aria-label="Transcript">
      {!decision && !failure && <p role="status">The transcript is being decided …</p>}
      {decision && (
        <p>
          <strong>Transcript:</strong> {decision.explanation}
        </p>
      )}
      {delivery && (
        <p>
          The mail to {delivery.recipientEmail} {STATES[delivery.status] ?? "is in an unknown state"}.
          {delivery.failure && ` ${delivery.failure}`}
        </p>
      )}
      <Failure text={failure} />
      <button type="button" onClick={() => setAsking(true)}>
        Email chat transcript …
      </button>
      {isAsking && <SendDialog conversation={conversation} api={api} close={() => setAsking(false)} />}
    </section>
  );
}

interface Recipient {
  contactId: string;
  email: string;
}

const recipientsOf = ({ id, emails }: Contact): Recipient[] => emails.map(({ email }) => ({ contactId: id, email }));

function SendDialog({ conversation, api, close }: { conversation: Conversation; api: TeamApi; close: () => void }) {
  const { id: conversationId, contactId } = conversation;
  const dialog = useRef<HTMLDialogElement>(null);
  const [recipients, setRecipients] = useState<Recipient[]>([]);
  const [chosen, setChosen] = useState(0);
  const [subject, setSubject] = useState("");
  const [query, setQuery] = useState("");
  const [preview, setPreview] = useState("");
  const [said, setSaid] = useState("");
  const [failure, setFailure] = useState("");
  const [repeat] = useState(requestId); // A repeat after a lost answer sends one mail.
  useEffect(() => {
    dialog.current?.showModal();
    if (contactId) act(async () => setRecipients(recipientsOf((await api.contacts.getContact({ contactId })).contact!)));
  }, []);

  const act = async (call: () => Promise<void>) => {
    setFailure("");
    try {
      await call();
    } catch (error) {
      setFailure(explain(error));
    }
  };
  const find = () =>
    act(async () => {
      const { contacts } = await api.contacts.listContacts({ query, pageSize: 20 });
      const others = contacts.flatMap(recipientsOf).filter(({ email }) => !recipients.some((known) => known.email === email));
      setRecipients([...recipients, ...others]);
      setSaid(others.length === 0 ? "No further addresses were found." : `${others.length} addresses were added to the menu.`);
    });
  const search = (event: KeyboardEvent) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // Otherwise the key sends the mail.
    if (query.trim()) void find();
  };
  const show = () =>
    act(async () => {
      const { content } = await api.transcripts.previewTranscript({ conversationId, part: TranscriptPart.TEXT, subject });
      setPreview(new TextDecoder().decode(content));
    });
  const send = () =>
    act(async () => {
      const recipient = recipients[chosen];
      if (!recipient) throw new Error("Choose an address.");
      await api.transcripts.sendTranscript({ conversationId, ...recipient, subject, requestId: repeat });
      dialog.current?.close();
    });
  return (
    <dialog ref={dialog} aria-labelledby="transcript-title" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <h2 id="transcript-title">Email chat transcript</h2>
        <label>
          To{" "}
          <select value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {recipients.length === 0 && <option value={0}>No address is known</option>}
            {recipients.map(({ email }, at) => (
              <option key={email} value={at}>
                {email}
              </option>
            ))}
          </select>
        </label>
        <div class="row">
          <label>
            Another contact{" "}
            <input
              value={query}
              placeholder="Name or address"
              onInput={(event) => setQuery(event.currentTarget.value)}
              onKeyDown={search}
            />
          </label>
          <button type="button" disabled={!query.trim()} onClick={find}>
            Find
          </button>
        </div>
        <label>
          Subject{" "}
          <input
            maxLength={200}
            value={subject}
            placeholder="The usual subject"
            onInput={(event) => setSubject(event.currentTarget.value)}
          />
        </label>
        <p role="status">{said}</p>
        <Failure text={failure} />
        {preview && (
          <pre tabIndex={0} aria-label="Preview of the mail as plain text">
            {preview}
          </pre>
        )}
        <div class="row">
          <button type="button" onClick={show}>
            Preview
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="main">
            Send
          </button>
        </div>
      </form>
    </dialog>
  );
}
