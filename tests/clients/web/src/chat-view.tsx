// A chat in the widget.
import { useRef, useState } from "preact/hooks";
import { ActorKind } from "../gen/frontdesk/actor/v1/actor_pb";
import type { AttachmentLimits } from "../gen/frontdesk/conversation/v1/attachment_pb";
import type { ChatEntry, ChatMessage } from "../gen/frontdesk/conversation/v1/chat_pb";
import type { ChatQueuePlace } from "../gen/frontdesk/conversation/v1/visitor_service_pb";
import type { VisitorApi } from "./api";
import { useChat, type Outgoing } from "./chat";
import { Attachments, Failure, Insert, Text, When } from "./content";
import { useEnd } from "./end";
import type { Token } from "./tokens";
import { readableSize } from "./upload";

/** The interval between two typing signals (milliseconds). */
const TYPING_INTERVAL = 5_000;
/** Maximum number of files in a message. */
const MAX_FILES = 10;

interface Props {
  chatId: string;
  visitors: VisitorApi;
  token: Token;
  /** Unset: nothing can be attached. */
  limits: AttachmentLimits | undefined;
  startNew: () => void;
}

export function ChatView({ chatId, visitors, token, limits, startNew }: Props) {
  const { chat, again, sendText, choose, sendFiles, signalTyping } = useChat(visitors, token, chatId);
  const [isOver, setOver] = useState(false);
  const [refused, setRefused] = useState("");
  const { log, content } = useEnd(chat.outgoing.at(-1)?.requestId);
  const isEnded = chat.state ? !chat.state.open : false;

  const attach = (files: File[]) => {
    const problem = limits ? files.map((file) => problemOf(file, limits)).find(Boolean) : "Files cannot be sent here.";
    const tooMany = files.length > MAX_FILES && `At most ${MAX_FILES} files go with one message.`;
    setRefused(problem || tooMany || "");
    if (files.length > 0 && !problem && !tooMany) void sendFiles(files);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    if (!isEnded) attach([...(event.dataTransfer?.files ?? [])]);
  };
  const link = async (visitorSequence: number, attachmentId: string) =>
    (await visitors.createChatAttachmentLink({ chatId, visitorSequence, attachmentId })).url;

  return (
    <div
      class={isOver ? "chat over" : "chat"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <div class="log" role="log" aria-live={chat.isLoaded ? "polite" : "off"} aria-label="Messages" tabIndex={0} ref={log}>
        <div class="entries" ref={content}>
          {chat.entries.map((entry) => (
            <Entry
              key={entry.visitorSequence}
              entry={entry}
              choose={choose}
              link={link}
              offersButtons={!isEnded && chat.outgoing.length === 0 && entry === newestOffer(chat.entries)}
              isSeen={entry.visitorSequence <= chat.teamRead}
            />
          ))}
          {chat.outgoing.map((message) => (
            <Sending key={message.requestId} message={message} again={again} />
          ))}
        </div>
      </div>
      <div class="signals">
        <p role="status">
          {!chat.isConnected && "The connection is lost. Trying again …"}
          {chat.isConnected && chat.typing && `${chat.typing} is writing …`}
          {chat.isConnected && !chat.typing && chat.place && waiting(chat.place)}
        </p>
        <Failure text={refused || chat.failure} />
      </div>
      {isEnded ? (
        <div class="ended">
          <p>This chat has ended.</p>
          <button type="button" class="main" onClick={startNew}>
            Start a new conversation
          </button>
        </div>
      ) : (
        <Composer send={sendText} attach={limits ? attach : undefined} typing={signalTyping} />
      )}
    </div>
  );
}

const waiting = ({ aboutPlace, aboutWait }: ChatQueuePlace) => {
  const minutes = Math.round(Number(aboutWait?.seconds ?? 0) / 60);
  return `You are about number ${aboutPlace} in the queue${minutes ? `, about ${minutes} min` : ""}.`;
};

function problemOf(file: File, limits: AttachmentLimits) {
  if (file.size === 0) return `${file.name} is empty.`;
  if (file.size > limits.maxSizeBytes) return `${file.name} is too large: at most ${readableSize(limits.maxSizeBytes)}.`;
  return "";
}

/** The newest message with buttons, if the visitor wrote nothing after it. */
function newestOffer(entries: ChatEntry[]) {
  for (const entry of entries.toReversed()) {
    if (entry.author?.kind === ActorKind.VISITOR) return undefined;
    if (entry.content.case === "message" && entry.content.value.buttons.length > 0) return entry;
  }
  return undefined;
}

interface EntryProps {
  entry: ChatEntry;
  offersButtons: boolean;
  isSeen: boolean;
  choose: (visitorSequence: number, buttonId: string, label: string) => void;
  link: (visitorSequence: number, attachmentId: string) => Promise<string>;
}

function Entry({ entry, offersButtons, isSeen, choose, link }: EntryProps) {
  const { content, author, visitorSequence, createTime } = entry;
  const name = author?.name || (author?.kind === ActorKind.BOT ? "Bot" : "Team");
  switch (content.case) {
    case "message": {
      const own = author?.kind === ActorKind.VISITOR;
      return (
        <article class={own ? "message own" : "message"}>
          <p class="who">
            {own ? "You" : name} <When at={createTime} />
            {own && isSeen && <span class="quiet"> · Seen</span>}
          </p>
          <Message message={content.value} link={(attachmentId) => link(visitorSequence, attachmentId)} />
          {offersButtons && (
            <div class="choices" role="group" aria-label="Answers to choose from">
              {content.value.buttons.map(({ id, label }) => (
                <button type="button" key={id} onClick={() => choose(visitorSequence, id, label)}>
                  {label}
                </button>
              ))}
            </div>
          )}
        </article>
      );
    }
    case "joined":
      return <p class="event">{name} joined.</p>;
    case "ended":
      return (
        <p class="event">
          {content.value.visitorInactive ? "The chat ended, because nothing was written for a while." : "The chat ended."}
        </p>
      );
    case "reopened":
      return <p class="event">The chat goes on.</p>;
    case "erased":
      return <p class="event">A message was erased.</p>;
    default:
      return null; // A later version's.
  }
}

const Message = ({ message, link }: { message: ChatMessage; link: (attachmentId: string) => Promise<string> }) => (
  <>
    <Text text={message.text} rich={message.richText} />
    {message.inserts.map((insert, at) => (
      <Insert key={at} insert={insert} />
    ))}
    {message.attachments.length > 0 && <Attachments items={message.attachments} link={link} />}
  </>
);

const Sending = ({ message, again }: { message: Outgoing; again: (message: Outgoing) => void }) => (
  <article class="message own">
    <p class="who">
      You <span class="quiet">· {message.failure ? "not sent" : "sending …"}</span>
    </p>
    {message.text && <p class="text">{message.text}</p>}
    {message.files.map((file) => (
      <p class="text" key={file.name}>
        {file.name}
      </p>
    ))}
    {message.failure && (
      <p role="alert" class="failure">
        {message.failure}{" "}
        <button type="button" onClick={() => again(message)}>
          Send again
        </button>
      </p>
    )}
  </article>
);

interface ComposerProps {
  send: (text: string) => void;
  /** Unset: nothing can be attached. */
  attach: ((files: File[]) => void) | undefined;
  typing: () => void;
}

function Composer({ send, attach, typing }: ComposerProps) {
  const [text, setText] = useState("");
  const signalled = useRef(0);
  const files = useRef<HTMLInputElement>(null);
  const write = (value: string) => {
    setText(value);
    if (value.trim() && Date.now() - signalled.current > TYPING_INTERVAL) {
      signalled.current = Date.now();
      typing();
    }
  };
  const submit = () => {
    if (!text.trim()) return;
    send(text);
    setText("");
    signalled.current = 0;
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label class="unseen" for="message">
        Your message
      </label>
      <textarea
        id="message"
        rows={2}
        maxLength={10_000}
        placeholder="Write a message"
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            submit();
          }
        }}
      />
      <div class="row">
        {attach && (
          <>
            <button type="button" onClick={() => files.current?.click()}>
              Attach a file
            </button>
            <span class="hint quiet">or drag it here</span>
            <input
              type="file"
              multiple
              hidden
              ref={files}
              onChange={(event) => {
                attach([...(event.currentTarget.files ?? [])]);
                event.currentTarget.value = "";
              }}
            />
          </>
        )}
        <button type="submit" class="main">
          Send
        </button>
      </div>
    </form>
  );
}
