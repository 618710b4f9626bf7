// What a message can hold, as the widget and the inbox show it. No text is ever HTML.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { SentAttachment } from "../gen/frontdesk/conversation/v1/attachment_pb";
import type { ChatInsert } from "../gen/frontdesk/conversation/v1/chat_pb";
import type { SentInsert } from "../gen/frontdesk/conversation/v1/insert_pb";
import type { RichText, RichTextLine } from "../gen/frontdesk/conversation/v1/rich_text_pb";
import { explain } from "./api";
import { readableSize } from "./upload";

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function When({ at }: { at: Timestamp | undefined }) {
  if (!at) return null;
  const date = timestampDate(at);
  const isToday = date.toDateString() === new Date().toDateString();
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()}>
      {isToday ? CLOCK.format(date) : DAY.format(date)}
    </time>
  );
}

/** The contract allows http and https only; a page that trusts no server checks again. */
const isWeb = (url: string) => /^https?:\/\//.test(url);

export function Link({ url, children }: { url: string; children: ComponentChildren }) {
  return isWeb(url) ? (
    <a href={url} target="_blank" rel="noopener noreferrer" title={url}>
      {children}
    </a>
  ) : (
    <span>{children}</span>
  );
}

const Line = ({ line }: { line: RichTextLine }) => (
  <>
    {line.spans.map((span, at) => {
      let part: ComponentChildren = span.text;
      if (span.bold) part = <strong>{part}</strong>;
      if (span.italic) part = <em>{part}</em>;
      return <span key={at}>{span.linkUrl ? <Link url={span.linkUrl}>{part}</Link> : part}</span>;
    })}
  </>
);

/** Rich text, or the plain text where a block is of a kind that this page does not know. */
export function Text({ text, rich }: { text: string; rich?: RichText | undefined }) {
  if (!rich || rich.blocks.some(({ block }) => block.case === undefined)) return text ? <p class="text">{text}</p> : null;
  return (
    <>
      {rich.blocks.map(({ block }, at) => {
        if (block.case === "paragraph")
          return (
            <p class="text" key={at}>
              <Line line={block.value} />
            </p>
          );
        if (block.case !== "list") return null;
        const items = block.value.items.map((line, item) => (
          <li key={item}>
            <Line line={line} />
          </li>
        ));
        return block.value.numbered ? <ol key={at}>{items}</ol> : <ul key={at}>{items}</ul>;
      })}
    </>
  );
}

const money = (amount: string, currency: string) => {
  try {
    return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(Number(amount));
  } catch {
    return `${amount} ${currency}`;
  }
};

export function Insert({ insert }: { insert: ChatInsert | SentInsert }) {
  const { title, plainText, content } = insert;
  switch (content.case) {
    case "snippet":
      return <p class="text">{content.value.text}</p>;
    case "document":
      return (
        <Card kind="Document" title={title} url={content.value.url}>
          {content.value.fileName}
        </Card>
      );
    case "meeting":
      return (
        <Card kind="Meeting" title={title} url={content.value.url} action="Book a time">
          {content.value.durationMinutes > 0 && `${content.value.durationMinutes} minutes`}
        </Card>
      );
    case "knowledgeArticle":
      return (
        <Card kind="Article" title={title} url={content.value.url} action="Read on">
          {content.value.summary}
        </Card>
      );
    case "quote": {
      const { number, total, expireDate, url } = content.value;
      return (
        <Card kind="Quote" title={title} url={url}>
          <span>
            {number}: <strong>{total && money(total.amount, total.currencyCode)}</strong>
          </span>
          {expireDate && <span>, valid until {expireDate}</span>}
        </Card>
      );
    }
    case "video": {
      const { sourceUrl, mediaType, thumbnailUrl } = content.value;
      const plays = mediaType.startsWith("video/") && isWeb(sourceUrl);
      return plays ? (
        <figure class="card">
          <video controls preload="metadata" src={sourceUrl} poster={thumbnailUrl || undefined} aria-label={title} />
          <figcaption>{title}</figcaption>
        </figure>
      ) : (
        <Card kind="Video" title={title} url={sourceUrl} action="Watch" />
      );
    }
    default:
      return <p class="text">{plainText}</p>;
  }
}

function Card(props: { kind: string; title: string; url: string; action?: string; children?: ComponentChildren }) {
  return (
    <div class="card">
      <span class="kind">{props.kind}</span>
      <strong>{props.title}</strong>
      {props.children && <div>{props.children}</div>}
      {props.url && (
        <Link url={props.url}>
          {props.action ?? "Open"}
          <span class="unseen"> {props.title}</span>
        </Link>
      )}
    </div>
  );
}

/** `link` creates a link to the bytes. */
export function Attachments({ items, link }: { items: SentAttachment[]; link: (attachmentId: string) => Promise<string> }) {
  const [failure, setFailure] = useState("");
  const open = async (attachmentId: string) => {
    setFailure("");
    try {
      location.assign(await link(attachmentId)); // A download: the page stays.
    } catch (error) {
      setFailure(explain(error));
    }
  };
  return (
    <ul class="files">
      {items.map((item) => (
        <li key={item.attachmentId}>
          <button type="button" class="file" onClick={() => open(item.attachmentId)}>
            {item.fileName} <span class="quiet">{readableSize(item.sizeBytes)}</span>
            <span class="unseen">, download</span>
          </button>
        </li>
      ))}
      {failure && <li role="alert">{failure}</li>}
    </ul>
  );
}

/** Why something failed, or nothing. */
export const Failure = ({ text }: { text: string }) =>
  text ? (
    <p role="alert" class="failure">
      {text}
    </p>
  ) : null;

/** Says on every page what it is. */
export const Notice = () => (
  <p class="notice">
    An example of the contract, not a product. <a href="index.html">What is this?</a>
  </p>
);
