// Where an agent writes: a message with inserts and files, or a comment that mentions colleagues.
import { useRef, useState } from "preact/hooks";
import type { Agent } from "../gen/frontdesk/assignment/v1/agent_pb";
import type { Attachment } from "../gen/frontdesk/conversation/v1/attachment_pb";
import type { Insert } from "../gen/frontdesk/conversation/v1/insert_pb";
import { explain, requestId, type TeamApi } from "./api";
import { Failure } from "./content";
import { InsertDialog } from "./insert-dialog";
import { handleBefore, mentionsIn, normalized } from "./mentions";
import { mediaType, put } from "./upload";

/** The interval between two typing signals (milliseconds). */
const TYPING_INTERVAL = 5_000;

interface Props {
  conversationId: string;
  api: TeamApi;
  agents: Agent[];
  /** False: the conversation is closed, or a bot is in charge. */
  canMessage: boolean;
}

export function Composer({ conversationId, api, agents, canMessage }: Props) {
  const [wantsComment, setWantsComment] = useState(false);
  const [text, setText] = useState("");
  const [inserts, setInserts] = useState<Insert[]>([]);
  const [files, setFiles] = useState<Attachment[]>([]);
  const [isChoosing, setChoosing] = useState(false);
  const [isSending, setSending] = useState(false);
  const [failure, setFailure] = useState("");
  const repeat = useRef(requestId());
  const signalled = useRef(0);
  const chooser = useRef<HTMLInputElement>(null);
  const isComment = wantsComment || !canMessage;

  const act = async (call: () => Promise<void>) => {
    setFailure("");
    setSending(true);
    try {
      await call();
    } catch (error) {
      setFailure(explain(error));
    }
    setSending(false);
  };
  const write = (value: string) => {
    repeat.current = requestId(); // Another content is another message.
    setText(value);
    if (value.trim() && Date.now() - signalled.current > TYPING_INTERVAL) {
      signalled.current = Date.now();
      api.threads.signalTyping({ conversationId, comment: isComment }).catch(() => {}); // Shown for seconds.
    }
  };
  const send = () =>
    act(async () => {
      const content = normalized(text);
      if (isComment) {
        if (!content) return;
        await api.threads.postComment({ conversationId, text: content, mentions: mentionsIn(content, agents), requestId: repeat.current });
      } else {
        if (!content && inserts.length === 0 && files.length === 0) return;
        const [insertIds, attachmentIds] = [inserts.map(({ id }) => id), files.map(({ id }) => id)];
        await api.threads.postMessage({ conversationId, text: content, insertIds, attachmentIds, requestId: repeat.current });
        setInserts([]);
        setFiles([]);
      }
      setText("");
      signalled.current = 0;
      repeat.current = requestId();
    });
  const attach = (chosen: File[]) =>
    act(async () => {
      for (const file of chosen) {
        const announced = { conversationId, fileName: file.name, mediaType: mediaType(file), sizeBytes: file.size, requestId: requestId() };
        const { attachment, upload } = await api.attachments.createAttachment(announced);
        if (upload) await put(file, upload);
        repeat.current = requestId();
        setFiles((had) => [...had, attachment!]);
      }
    });
  const changeInserts = (changed: Insert[]) => {
    repeat.current = requestId();
    setInserts(changed);
  };

  return (
    <>
      <form
        class={isComment ? "composer comment" : "composer"}
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          if (!isComment) void attach([...(event.dataTransfer?.files ?? [])]);
        }}
      >
        <fieldset class="row">
          <legend class="unseen">What you write</legend>
          <label>
            <input type="radio" name="what" checked={!isComment} disabled={!canMessage} onChange={() => setWantsComment(false)} /> Message
          </label>
          <label>
            <input type="radio" name="what" checked={isComment} onChange={() => setWantsComment(true)} /> Comment for the team
          </label>
        </fieldset>
        <Failure text={failure} />
        <TextBox
          text={text}
          write={write}
          submit={send}
          agents={isComment ? agents : []}
          label={isComment ? "Your comment; @ mentions a colleague" : "Your message"}
        />
        {!isComment && (
          <ul class="chips">
            {inserts.map((insert) => (
              <Chip key={insert.id} name={insert.title} remove={() => changeInserts(inserts.filter(({ id }) => id !== insert.id))} />
            ))}
            {files.map((file) => (
              <Chip key={file.id} name={file.fileName} remove={() => setFiles(files.filter(({ id }) => id !== file.id))} />
            ))}
          </ul>
        )}
        <div class="row">
          {!isComment && (
            <>
              <button type="button" onClick={() => setChoosing(true)}>
                Insert …
              </button>
              <button type="button" onClick={() => chooser.current?.click()}>
                Attach a file
              </button>
              <input
                type="file"
                multiple
                hidden
                ref={chooser}
                onChange={(event) => {
                  void attach([...(event.currentTarget.files ?? [])]);
                  event.currentTarget.value = "";
                }}
              />
            </>
          )}
          <button type="submit" class="main" disabled={isSending}>
            {isComment ? "Comment" : "Send"}
          </button>
        </div>
      </form>
      {isChoosing && (
        <InsertDialog api={api} conversationId={conversationId} chosen={inserts} change={changeInserts} close={() => setChoosing(false)} />
      )}
    </>
  );
}

const Chip = ({ name, remove }: { name: string; remove: () => void }) => (
  <li>
    {name}{" "}
    <button type="button" onClick={remove} aria-label={`Remove ${name}`}>
      ✕
    </button>
  </li>
);

interface TextBoxProps {
  text: string;
  write: (text: string) => void;
  submit: () => void;
  /** Those who can be mentioned. */
  agents: Agent[];
  label: string;
}

/** A text with a list of colleagues below while a mention is written: a combobox, with the keys that it has everywhere. */
function TextBox({ text, write, submit, agents, label }: TextBoxProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [handle, setHandle] = useState<string>();
  const [active, setActive] = useState(0);
  const wanted = handle?.toLowerCase();
  const offered =
    wanted === undefined ? [] : agents.filter((agent) => `${agent.handle} ${agent.name.toLowerCase()}`.includes(wanted)).slice(0, 8);

  const look = () => {
    const { value, selectionStart } = area.current!;
    setHandle(agents.length > 0 ? handleBefore(value, selectionStart) : undefined);
    setActive(0);
  };
  const mention = (agent: Agent) => {
    // Changed in place, so that the caret is where the next key is typed.
    const { selectionStart } = area.current!;
    area.current!.setRangeText(`${agent.handle} `, selectionStart - handle!.length, selectionStart, "end");
    write(area.current!.value);
    setHandle(undefined);
    area.current!.focus();
  };
  const press = (event: KeyboardEvent) => {
    const isOffering = offered.length > 0;
    if (isOffering && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      setActive((active + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length);
    } else if (isOffering && (event.key === "Enter" || event.key === "Tab")) {
      mention(offered[active]!);
    } else if (isOffering && event.key === "Escape") {
      setHandle(undefined);
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      submit();
    } else {
      return;
    }
    event.preventDefault();
  };
  return (
    <div class="combobox">
      <label class="unseen" for="write">
        {label}
      </label>
      <textarea
        id="write"
        rows={2}
        maxLength={10_000}
        placeholder={label}
        value={text}
        ref={area}
        aria-autocomplete="list"
        aria-haspopup="listbox"
        aria-controls={offered.length > 0 ? "colleagues" : undefined}
        aria-activedescendant={offered.length > 0 ? `colleague-${active}` : undefined}
        onInput={(event) => {
          write(event.currentTarget.value);
          look();
        }}
        onClick={look}
        onBlur={() => setHandle(undefined)}
        onKeyDown={press}
      />
      {offered.length > 0 && (
        <ul role="listbox" id="colleagues" aria-label="Colleagues">
          {offered.map((agent, at) => (
            <li
              key={agent.id}
              id={`colleague-${at}`}
              role="option"
              aria-selected={at === active}
              onMouseDown={(event) => {
                event.preventDefault();
                mention(agent);
              }}
            >
              {agent.name} <span class="quiet">@{agent.handle}</span>
            </li>
          ))}
        </ul>
      )}
      <p class="unseen" role="status">
        {offered.length > 0 && `${offered.length} colleagues; choose with the arrow keys`}
      </p>
    </div>
  );
}
