// The inbox of an agent: rows that stay as they are, a thread, and its contact beside it.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Availability } from "../gen/frontdesk/assignment/v1/agent_status_pb";
import type { Agent } from "../gen/frontdesk/assignment/v1/agent_pb";
import { ActorKind } from "../gen/frontdesk/actor/v1/actor_pb";
import { ConversationStatus } from "../gen/frontdesk/conversation/v1/conversation_pb";
import type { ConversationMatch, InboxRow } from "../gen/frontdesk/conversation/v1/conversation_service_pb";
import { explain, teamApi, type TeamApi } from "./api";
import { Failure, Notice, When } from "./content";
import { prepareExample } from "./example";
import { useInbox, type Filter } from "./inbox-rows";
import { agentId, agentToken } from "./session";
import { ThreadView } from "./thread-view";

/** The pause before a heartbeat that failed is sent again (milliseconds). */
const HEARTBEAT_RETRY = 10_000;

interface Me {
  api: TeamApi;
  id: string;
  agents: Agent[];
}

async function open(): Promise<Me> {
  await prepareExample();
  const api = teamApi(agentToken);
  const [id, { agents }] = await Promise.all([agentId(), api.roster.listAgents({ pageSize: 200 })]);
  return { api, id, agents };
}

function Page() {
  const [me, setMe] = useState<Me>();
  const [failure, setFailure] = useState("");
  useEffect(() => {
    open().then(setMe, (error) => setFailure(explain(error)));
  }, []);
  if (failure) return <Failure text={failure} />;
  return me ? <Inbox {...me} /> : <p role="status">Loading …</p>;
}

function Inbox({ api, id, agents }: Me) {
  const [filter, setFilter] = useState<Filter>({ status: "open", assignee: "anyone" });
  const [query, setQuery] = useState("");
  const [matches, setMatches] = useState<ConversationMatch[]>();
  const [selected, setSelected] = useState("");
  const [failure, setFailure] = useState("");
  const { inbox, more } = useInbox(api, agentToken, filter);
  const left = useRef("");
  useEffect(() => {
    if (!selected) document.getElementById(`row-${left.current}`)?.focus(); // The keyboard goes on where it was.
    left.current = selected;
  }, [selected]);

  const search = async () => {
    setFailure("");
    if (!query.trim()) return setMatches(undefined);
    try {
      setMatches((await api.conversations.searchConversations({ query })).matches);
    } catch (error) {
      setFailure(explain(error));
    }
  };
  const rows = matches ? matches.map(({ row }) => row!) : inbox.rows;
  return (
    <main class={selected ? "inbox chosen" : "inbox"}>
      <h1 class="unseen">Inbox of {agents.find((agent) => agent.id === id)?.name}</h1>
      <nav class="rows" aria-label="Conversations">
        <header>
          <h2>Inbox</h2>
          <Presence api={api} name={agents.find((agent) => agent.id === id)?.name ?? ""} />
          <Notice />
          <form
            role="search"
            onSubmit={(event) => {
              event.preventDefault();
              void search();
            }}
          >
            <label class="unseen" for="search">
              Search words in the threads
            </label>
            <input id="search" type="search" placeholder="Search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
            <button type="submit">Search</button>
          </form>
          <Filters
            filter={filter}
            set={(changed) => {
              setMatches(undefined);
              setFilter({ ...filter, ...changed });
            }}
          />
        </header>
        <p role="status" class="quiet">
          {!inbox.isLoaded && "Loading …"}
          {inbox.isLoaded && !inbox.isConnected && "The connection is lost. Trying again …"}
          {matches && `${matches.length} found. `}
          {matches && (
            <button
              type="button"
              onClick={() => {
                setMatches(undefined);
                setQuery("");
              }}
            >
              Show the inbox
            </button>
          )}
        </p>
        <Failure text={failure || inbox.failure} />
        <Rows rows={rows} matches={matches} selected={selected} select={setSelected} />
        {inbox.isLoaded && rows.length === 0 && <p class="quiet">No conversations.</p>}
        {!matches && inbox.nextPageToken && (
          <button type="button" onClick={more}>
            Show more
          </button>
        )}
      </nav>
      {selected ? (
        <ThreadView key={selected} conversationId={selected} api={api} agentId={id} agents={agents} select={setSelected} />
      ) : (
        <div class="empty">
          <p class="quiet">Choose a conversation.</p>
        </div>
      )}
    </main>
  );
}

function Filters({ filter, set }: { filter: Filter; set: (changed: Partial<Filter>) => void }) {
  return (
    <div class="row">
      <label>
        Status{" "}
        <select value={filter.status} onChange={(event) => set({ status: event.currentTarget.value as Filter["status"] })}>
          <option value="open">Open</option>
          <option value="closed">Closed</option>
          <option value="all">All</option>
        </select>
      </label>
      <label>
        Assignee{" "}
        <select value={filter.assignee} onChange={(event) => set({ assignee: event.currentTarget.value as Filter["assignee"] })}>
          <option value="anyone">Anyone</option>
          <option value="me">Me</option>
          <option value="unassigned">Unassigned</option>
          <option value="bots">Bots</option>
        </select>
      </label>
    </div>
  );
}

interface RowsProps {
  rows: InboxRow[];
  matches: ConversationMatch[] | undefined;
  selected: string;
  select: (id: string) => void;
}

function Rows({ rows, matches, selected, select }: RowsProps) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...(event.currentTarget as HTMLElement).querySelectorAll("button")];
    buttons[buttons.indexOf(document.activeElement as HTMLButtonElement) + step]?.focus();
    event.preventDefault();
  };
  return (
    <ul class="list" onKeyDown={move}>
      {rows.map((row) => {
        const { id, lastActivityTime, assignee, status } = row.conversation!;
        const unread = row.readState?.unreadCount ?? 0;
        const match = matches?.find((found) => found.row?.conversation?.id === id)?.entries[0];
        return (
          <li key={id}>
            <button type="button" id={`row-${id}`} aria-current={id === selected} onClick={() => select(id)}>
              <span class="top">
                <strong>{row.visitorName || "Unknown visitor"}</strong>
                {unread > 0 && (
                  <span class="badge">
                    {unread >= 100 ? "99+" : unread}
                    <span class="unseen"> unread</span>
                  </span>
                )}
                <When at={lastActivityTime} />
              </span>
              <span class="line">{match?.snippet ?? newest(row)}</span>
              <span class="quiet">
                {status === ConversationStatus.CLOSED ? "Closed" : assignee ? assignee.name || "Bot" : "Unassigned"}
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function newest({ lastEntry }: InboxRow) {
  const content = lastEntry?.content;
  if (content?.case === "comment") return `Comment: ${content.value.text}`;
  if (content?.case !== "message") return "No message yet";
  const { text, inserts, attachments } = content.value;
  const what = text || inserts[0]?.title || attachments[0]?.fileName || "";
  return lastEntry!.author?.kind === ActorKind.VISITOR ? what : `${lastEntry!.author?.name || "Team"}: ${what}`;
}

/** Whether routing gives conversations to the agent. Heartbeats say that this page runs. */
function Presence({ api, name }: { api: TeamApi; name: string }) {
  const [availability, setAvailability] = useState(Availability.AWAY);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    let timer = 0;
    const beat = async () => {
      let next = HEARTBEAT_RETRY;
      try {
        const answer = await api.availability.heartbeat({});
        setAvailability(answer.availability);
        next = Number(answer.nextHeartbeatAfter?.seconds ?? 10) * 1000;
      } catch {
        // The next one says it.
      }
      timer = window.setTimeout(beat, next);
    };
    void beat();
    return () => clearTimeout(timer);
  }, []);
  const isAvailable = availability === Availability.AVAILABLE;
  const toggle = async () => {
    setFailure("");
    try {
      const wanted = isAvailable ? Availability.AWAY : Availability.AVAILABLE;
      const { status } = await api.availability.setAvailability({ availability: wanted });
      setAvailability(status!.availability);
    } catch (error) {
      setFailure(explain(error));
    }
  };
  return (
    <p class="presence">
      {name}{" "}
      <button type="button" role="switch" aria-checked={isAvailable} onClick={toggle}>
        {isAvailable ? "Available" : "Away"}
      </button>
      {failure && (
        <span role="alert" class="failure">
          {failure}
        </span>
      )}
    </p>
  );
}

render(<Page />, document.getElementById("page")!);
