// The library of inserts: found by a shortcut or a word, of one kind or all.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Insert, InsertKind } from "../gen/frontdesk/conversation/v1/insert_pb";
import { explain, type TeamApi } from "./api";
import { Failure } from "./content";

const KINDS: [InsertKind, string, NonNullable<Insert["content"]["case"]>][] = [
  [InsertKind.SNIPPET, "Snippet", "snippet"],
  [InsertKind.DOCUMENT, "Document", "document"],
  [InsertKind.MEETING, "Meeting", "meeting"],
  [InsertKind.KNOWLEDGE_ARTICLE, "Article", "knowledgeArticle"],
  [InsertKind.QUOTE, "Quote", "quote"],
  [InsertKind.VIDEO, "Video", "video"],
];
/** Maximum number of inserts in a message. */
const MAX_INSERTS = 10;

interface Props {
  api: TeamApi;
  conversationId: string;
  chosen: Insert[];
  change: (chosen: Insert[]) => void;
  close: () => void;
}

export function InsertDialog({ api, conversationId, chosen, change, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [kind, setKind] = useState(InsertKind.UNSPECIFIED);
  const [query, setQuery] = useState("");
  const [found, setFound] = useState<Insert[]>([]);
  const [preview, setPreview] = useState("");
  const [failure, setFailure] = useState("");
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  useEffect(() => {
    let isCurrent = true; // An answer to an older question is not shown.
    const kinds = kind === InsertKind.UNSPECIFIED ? [] : [kind];
    api.inserts.listInserts({ kinds, query, pageSize: 50 }).then(
      ({ inserts }) => isCurrent && setFound(inserts),
      (error) => isCurrent && setFailure(explain(error)),
    );
    return () => {
      isCurrent = false;
    };
  }, [kind, query]);

  const isChosen = (insert: Insert) => chosen.some(({ id }) => id === insert.id);
  const toggle = (insert: Insert) => change(isChosen(insert) ? chosen.filter(({ id }) => id !== insert.id) : [...chosen, insert]);
  const show = async (insertId: string) => {
    try {
      setPreview((await api.inserts.renderInsert({ insertId, conversationId })).text);
    } catch (error) {
      setFailure(explain(error));
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="inserts-title" onClose={close}>
      <h2 id="inserts-title">Insert</h2>
      <div class="row">
        <label>
          Find <input type="search" placeholder="Shortcut or word" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
        </label>
        <label>
          Kind{" "}
          <select value={kind} onChange={(event) => setKind(Number(event.currentTarget.value))}>
            <option value={InsertKind.UNSPECIFIED}>All</option>
            {KINDS.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Failure text={failure} />
      <ul class="plain">
        {found.map((insert) => (
          <li key={insert.id} class="row">
            <label>
              <input
                type="checkbox"
                checked={isChosen(insert)}
                disabled={!isChosen(insert) && chosen.length >= MAX_INSERTS}
                onChange={() => toggle(insert)}
              />{" "}
              {insert.title}{" "}
              <span class="quiet">
                {KINDS.find(([, , name]) => name === insert.content.case)?.[1]}
                {insert.shortcut && ` · /${insert.shortcut}`}
              </span>
            </label>
            <button type="button" onClick={() => show(insert.id)}>
              Preview<span class="unseen"> {insert.title}</span>
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="quiet">Nothing was found.</p>}
      <p role="status" class="text">
        {preview}
      </p>
      <button type="button" class="main" onClick={() => dialog.current?.close()}>
        Done
      </button>
    </dialog>
  );
}
