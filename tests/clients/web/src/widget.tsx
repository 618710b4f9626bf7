// The website of a shop with a widget. A site of yours has the channel's id and widget token in its source.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Chat } from "../gen/frontdesk/conversation/v1/chat_pb";
import type { Widget as WidgetInfo } from "../gen/frontdesk/conversation/v1/visitor_service_pb";
import { explain, requestId, visitorApi, type VisitorApi } from "./api";
import { ChatView } from "./chat-view";
import { Failure, Notice } from "./content";
import { prepareExample } from "./example";
import { Token } from "./tokens";

/** The token of this browser's anonymous visitor, kept for the next visit. */
function anonymousVisitor(channelId: string, widgetToken: string) {
  const key = `frontdesk-visitor-${channelId}`;
  const page = visitorApi(new Token(async () => ({ token: widgetToken, renewAt: Number.POSITIVE_INFINITY })));
  return new Token(async () => {
    const created = await page.createAnonymousVisitor({ previousToken: localStorage.getItem(key) ?? "" });
    localStorage.setItem(key, created.visitorToken);
    return { token: created.visitorToken, renewAt: timestampMs(created.renewTime!) };
  });
}

interface Ready {
  visitors: VisitorApi;
  token: Token;
  widget: WidgetInfo;
}

async function open(): Promise<Ready> {
  const { id, widgetToken } = await prepareExample();
  const token = anonymousVisitor(id, widgetToken);
  const visitors = visitorApi(token);
  const { widget } = await visitors.getWidget({ channelId: id });
  return { visitors, token, widget: widget! };
}

function Widget() {
  const [ready, setReady] = useState<Ready>();
  const [chat, setChat] = useState<Chat>();
  const [failure, setFailure] = useState("");
  const [isStarting, setStarting] = useState(false);
  useEffect(() => {
    open().then(
      (opened) => {
        setReady(opened);
        setChat(opened.widget.openChat);
      },
      (error) => setFailure(explain(error)),
    );
  }, []);

  const start = async () => {
    const { visitors, widget } = ready!;
    setStarting(true);
    setFailure("");
    try {
      const { language } = navigator;
      const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
      const page = { pageUrl: location.href, pageTitle: document.title, language, timeZone };
      const started = await visitors.startChat({ channelId: widget.channelId, ...page, requestId: requestId() });
      setChat(started.chat);
    } catch (error) {
      setFailure(explain(error));
    }
    setStarting(false);
  };

  return (
    <section class="widget" aria-label={`Chat with ${ready?.widget.name ?? "us"}`}>
      <header>
        <h2>{ready?.widget.name ?? "Chat"}</h2>
        <Notice />
      </header>
      <Failure text={failure} />
      {!ready && !failure && <p role="status">Loading …</p>}
      {ready && !chat && (
        <div class="before">
          <p>{ready.widget.greeter ? `${ready.widget.greeter.name}, our bot, greets you first.` : "Our team answers here."}</p>
          {!ready.widget.open && <p>We are closed at the moment. You can write all the same.</p>}
          <button type="button" class="main" disabled={isStarting || !ready.widget.canStartChat} onClick={start}>
            Start a chat
          </button>
        </div>
      )}
      {ready && chat && (
        <ChatView
          key={chat.id}
          chatId={chat.id}
          visitors={ready.visitors}
          token={ready.token}
          limits={ready.widget.attachments}
          startNew={start}
        />
      )}
    </section>
  );
}

const Shop = () => (
  <>
    <main class="shop">
      <h1>Rossi Bicycles</h1>
      <p>Repairs, parts and bicycles of all kinds. This shop does not exist: it is the page on which the widget stands.</p>
    </main>
    <Widget />
  </>
);

render(<Shop />, document.getElementById("page")!);
