// A visitor's chat with stubs alone: start, send, watch, lose the connection, resume, read refusals. In Node.js and in browsers.
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { expect, refused } from "./expect.js";
import { VisitorService } from "./gen/frontdesk/conversation/v1/visitor_service_pb.js";
import { watchChat } from "./watch.js";

/** Settings of the driver (tests/clients/run.py). EXPIRED_TOKEN is an older token of the same visitor. PAGE_ORIGIN is only for Node.js. */
export interface Settings {
  ADDRESS: string; CHANNEL_ID: string; VISITOR_TOKEN: string; EXPIRED_TOKEN: string; WIDGET_TOKEN: string; PAGE_ORIGIN?: string;
}

/** `cut` asks the driver to cut the connection; meanwhile the team answers and closes the chat. */
export async function visit(transport: Transport, settings: Settings, print: (line: string) => void) {
  const visitors = createClient(VisitorService, transport);
  const caller = { headers: { authorization: `Bearer ${settings.VISITOR_TOKEN}` }, timeoutMs: 10_000 };

  const start = { channelId: settings.CHANNEL_ID, pageUrl: "https://shop.example/", requestId: crypto.randomUUID() };
  const chatId = (await visitors.startChat(start, caller)).chat!.id;
  const hello = { chatId, text: "Is my bicycle ready?", requestId: crypto.randomUUID() };
  const sent = (await visitors.sendMessage(hello, caller)).entry!;
  expect((await visitors.sendMessage(hello, caller)).entry!.visitorSequence, sent.visitorSequence); // A repeat sends once.

  let openings = 0;
  let current = settings.EXPIRED_TOKEN;
  const token = async (renew: boolean) => {
    openings++;
    if (renew) current = settings.VISITOR_TOKEN; // A renewed one comes from your back end.
    return current;
  };
  let next = 0;
  const texts: string[] = [];
  for await (const { visitorSequence, author, content, requestId } of watchChat(visitors, chatId, token)) {
    expect(visitorSequence, ++next); // No gap, no repeat.
    if (content.case === "message") texts.push(content.value.text);
    print(`${visitorSequence}. ${author?.name || "visitor"}: ${content.case === "message" ? content.value.text : content.case}`);
    if (requestId === hello.requestId) print(`cut ${chatId}`);
    if (content.case === "ended") break;
  }
  expect(texts, ["Is my bicycle ready?", "Nearly.", "Now it is."]);
  expect(openings > 2, true); // With the expired token, with the new one, after the cut.

  const closed = await refused(visitors.sendMessage({ chatId, text: "Thank you!", requestId: crypto.randomUUID() }, caller), print);
  expect([closed.code, closed.reason], [Code.FailedPrecondition, "CONVERSATION_CLOSED"]);
  expect(closed.metadata["close_number"], "1");
  const invalid = await refused(visitors.sendMessage({ chatId: "x", text: "\u0001", requestId: crypto.randomUUID() }, caller), print);
  expect([invalid.code, invalid.reason], [Code.InvalidArgument, "INVALID_FIELDS"]);
  expect(invalid.fields.sort(), ["chat_id", "text"]);

  // Before they sign in, a person chats as an anonymous visitor, and leaves an address. Then the chat is theirs.
  const origin = settings.PAGE_ORIGIN; // A browser sends it by itself, and lets no page choose it.
  const page = { headers: { authorization: `Bearer ${settings.WIDGET_TOKEN}`, ...(origin && { origin }) } };
  const created = await visitors.createAnonymousVisitor({}, page);
  const renewed = await visitors.createAnonymousVisitor({ previousToken: created.visitorToken }, page);
  expect([created.renewed, renewed.renewed], [false, true]);
  const anonymous = { headers: { authorization: `Bearer ${renewed.visitorToken}` } };
  const again = { ...start, text: "Do you repair tyres?", requestId: crypto.randomUUID() };
  const before = (await visitors.startChat(again, anonymous)).chat!.id;
  const widget = (await visitors.getWidget({ channelId: settings.CHANNEL_ID }, anonymous)).widget!;
  expect([widget.name, widget.openChat?.id], ["Shop", before]);
  // A file goes by HTTP, and then with a message.
  const file = new TextEncoder().encode("It lost air twice.");
  const announced = { chatId: before, fileName: "tyre.txt", sizeBytes: file.length, requestId: crypto.randomUUID() };
  const { attachment, upload } = await visitors.createChatAttachment(announced, anonymous);
  const put = await fetch(upload!.url, { method: "PUT", headers: upload!.headers, body: file });
  expect([put.status, await put.text()], [200, "The file is stored.\n"]);
  const withFile = { chatId: before, attachmentIds: [attachment!.id], requestId: crypto.randomUUID() };
  const { visitorSequence } = (await visitors.sendMessage(withFile, anonymous)).entry!;
  const link = await visitors.createChatAttachmentLink({ chatId: before, visitorSequence, attachmentId: attachment!.id }, anonymous);
  expect(await (await fetch(link.url)).text(), "It lost air twice.");

  const left = { chatId: before, email: "Ada@Shop.example", requestId: crypto.randomUUID() };
  expect((await visitors.leaveAddress(left, anonymous)).email, "ada@shop.example");
  expect((await visitors.claimAnonymousChats({ anonymousToken: renewed.visitorToken }, caller)).remainingChatId, "");
  expect((await visitors.listChats({}, caller)).chats.map((chat) => chat.id), [before, chatId]);
  const gone = await refused(visitors.getChat({ chatId: before }, anonymous), print);
  expect([gone.code, gone.reason], [Code.NotFound, "NOT_FOUND"]);
  print("done");
}
