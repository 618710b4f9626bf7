// A conversation in the inbox: who has it, its thread, what can be done, and its contact.
import { useEffect, useRef, useState } from "preact/hooks";
import { ActorKind } from "../gen/frontdesk/actor/v1/actor_pb";
import type { Agent } from "../gen/frontdesk/assignment/v1/agent_pb";
import { type Conversation, ConversationStatus } from "../gen/frontdesk/conversation/v1/conversation_pb";
import { explain, requestId, type TeamApi } from "./api";
import { Composer } from "./composer";
import { ContactPane } from "./contact-pane";
import { Failure } from "./content";
import { useEnd } from "./end";
import { EntryView } from "./entry-view";
import { agentToken } from "./session";
import { useThread } from "./thread";
import { Transcript } from "./transcript";

interface Props {
  conversationId: string;
  api: TeamApi;
  agentId: string;
  agents: Agent[];
  select: (id: string) => void;
}

export function ThreadView({ conversationId, api, agentId, agents, select }: Props) {
  const { thread, conversation, readConversation, hasEarlier, earlier } = useThread(api, agentToken, agentId, conversationId);
  const [failure, setFailure] = useState("");
  const [showsContact, setShowsContact] = useState(false);
  const section = useRef<HTMLElement>(null);
  const { log, content } = useEnd(thread.entries.findLast(({ author }) => author?.id === agentId)?.sequence);
  useEffect(() => section.current?.focus(), []); // The keyboard goes on here, where the row led.

  /** Runs a call, and says why it failed. The state is read again: the call may have failed because it was old. */
  const act = async (call: () => Promise<unknown>) => {
    setFailure("");
    try {
      await call();
    } catch (error) {
      setFailure(explain(error));
    }
    await readConversation();
  };
  const link = async (attachmentId: string) => (await api.attachments.createAttachmentLink({ attachmentId })).url;
  const isOpen = conversation?.status === ConversationStatus.OPEN;
  const seen = thread.marks?.readVisitorSequence ?? 0;
  const tickets = thread.entries.filter(({ content }) => content.case === "ticketCreated" || content.case === "ticketUpdated").length;
  return (
    <>
      <section class="thread" aria-label="Conversation" tabIndex={-1} ref={section}>
        <header>
          <button type="button" class="back" onClick={() => select("")}>
            Back
          </button>
          {conversation && <Actions conversation={conversation} api={api} agentId={agentId} agents={agents} act={act} />}
          <button type="button" class="narrow" aria-expanded={showsContact} onClick={() => setShowsContact(!showsContact)}>
            Contact
          </button>
        </header>
        <Failure text={failure || thread.failure} />
        <div class="log" role="log" aria-live={thread.isLoaded ? "polite" : "off"} aria-label="Thread" tabIndex={0} ref={log}>
          <div class="entries" ref={content}>
            {hasEarlier && (
              <button type="button" onClick={earlier}>
                Show earlier entries
              </button>
            )}
            {thread.entries.map((entry) => (
              <EntryView
                key={entry.sequence}
                entry={entry}
                agents={agents}
                link={link}
                isSeen={entry.visitorSequence > 0 && entry.visitorSequence <= seen}
              />
            ))}
          </div>
        </div>
        <p role="status" class="signals">
          {!thread.isConnected && "The connection is lost. Trying again …"}
          {thread.isConnected && thread.typing && `${thread.typing} is writing …`}
        </p>
        {conversation && (
          <Transcript
            conversation={conversation}
            api={api}
            changes={thread.entries.filter(({ content }) => content.case === "transcriptSent").length}
          />
        )}
        <Composer conversationId={conversationId} api={api} agents={agents} canMessage={isOpen && !conversation?.botSession} />
      </section>
      {conversation && (
        <ContactPane
          key={conversation.contactId}
          conversation={conversation}
          api={api}
          changes={tickets}
          select={select}
          isShown={showsContact}
          hide={() => setShowsContact(false)}
        />
      )}
    </>
  );
}

interface ActionsProps {
  conversation: Conversation;
  api: TeamApi;
  agentId: string;
  agents: Agent[];
  act: (call: () => Promise<unknown>) => Promise<void>;
}

function Actions({ conversation, api, agentId, agents, act }: ActionsProps) {
  const { id: conversationId, epoch, assignee, status } = conversation;
  const expected = () => ({ conversationId, expectedEpoch: epoch, requestId: requestId() });
  if (status === ConversationStatus.CLOSED) {
    return (
      <>
        <span class="state">Closed</span>
        <button type="button" onClick={() => act(() => api.conversations.reopenConversation({ conversationId, requestId: requestId() }))}>
          Reopen
        </button>
      </>
    );
  }
  const assign = (to: string) =>
    act(() => (to ? api.assignments.assignConversation({ ...expected(), agentId: to }) : api.assignments.unassignConversation(expected())));
  const isBot = assignee?.kind === ActorKind.BOT;
  return (
    <>
      <label>
        Assignee{" "}
        <select value={assignee?.id ?? ""} onChange={(event) => assign(event.currentTarget.value)}>
          <option value="">Unassigned</option>
          {isBot && (
            <option value={assignee.id} disabled>
              {assignee.name || "Bot"} (bot)
            </option>
          )}
          {agents.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {assignee?.id !== agentId && (
        <button type="button" class="main" onClick={() => act(() => api.assignments.takeOverConversation(expected()))}>
          Take over
        </button>
      )}
      <button type="button" onClick={() => act(() => api.conversations.closeConversation(expected()))}>
        Close
      </button>
    </>
  );
}
