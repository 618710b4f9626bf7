// A whole chat, played as the widget, the agent, the bot's engine and the back end, with stubs alone. In Node.js and in browsers.
import { toBinary } from "@bufbuild/protobuf";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { Agent } from "./agent.js";
import { Engine, handOff, say } from "./engine.js";
import { EventLog } from "./event_log.js";
import { expect, refused } from "./expect.js";
import { followEvents } from "./follow.js";
import { BotEngineService, type Turn } from "./gen/frontdesk/botsession/v1/bot_engine_service_pb.js";
import { ConversationService } from "./gen/frontdesk/conversation/v1/conversation_service_pb.js";
import { VisitorService } from "./gen/frontdesk/conversation/v1/visitor_service_pb.js";
import { ConversationEventService } from "./gen/frontdesk/event/v1/conversation_event_service_pb.js";
import { EventSchema } from "./gen/frontdesk/event/v1/envelope_pb.js";
import { EventStart } from "./gen/frontdesk/event/v1/subscription_pb.js";
import { WebhookService } from "./gen/frontdesk/notification/v1beta1/webhook_service_pb.js";
import { Inbox, lastText } from "./inbox.js";
import { playInvalid, playTooOften } from "./refusals.js";
import { visitorToken } from "./visitor_token.js";
import type { WebhookReceiver } from "./webhook_receiver.js";
import { playForged, postTo, stopPosting } from "./webhooks.js";
import { message, Widget } from "./widget.js";

/** Settings of the driver (tests/clients/run.py): the key of the channel, the agent, the bot that greets, and who follows the events. */
export interface PlaySettings {
  ACCOUNT_ID: string; CHANNEL_ID: string; KEY_ID: string; KEY_SECRET: string; AGENT_ID: string; AGENT_TOKEN: string; BOT_TOKEN: string;
  ADMIN_TOKEN: string;
}

/**
 * `cut` asks the driver (tests/clients/scene.py) to cut the connections, and to refuse new ones for half a second. `receiver` gets webhooks,
 * as no page can.
 */
export async function play(transport: Transport, settings: PlaySettings, print: (line: string) => void, receiver?: WebhookReceiver) {
  // The back end signs a token for each visitor.
  const issuer = { account: settings.ACCOUNT_ID, channel: settings.CHANNEL_ID, keyId: settings.KEY_ID, secret: settings.KEY_SECRET };
  const visitor = `vera-${crypto.randomUUID()}`;
  const visitors = createClient(VisitorService, transport);
  const signed = await visitorToken(issuer, visitor, { name: "Vera", email: `${visitor}@visitor.example` });
  const page = new Widget(visitors, signed, issuer.channel, print);

  // The back end follows the events from now on, by a stream and by webhooks.
  const [byStream, byWebhook] = [new EventLog(), new EventLog()];
  let openings = 0;
  const updates = followEvents(createClient(ConversationEventService, transport), async () => {
    openings++; // Each stream asks for a token.
    return settings.ADMIN_TOKEN;
  }, EventStart.LATEST);
  await new Promise<void>((caughtUp, failed) => {
    (async () => {
      for await (const { update } of updates) { // Others are skipped, also those of later versions.
        if (update.case === "published") byStream.add(update.value, toBinary(EventSchema, update.value));
        else if (update.case === "caughtUp") caughtUp();
      }
    })().catch(failed);
  });
  const webhooks = createClient(WebhookService, transport);
  let endpointId = "";
  if (receiver) {
    receiver.handle = (event, body) => byWebhook.add(event, body);
    endpointId = await postTo(receiver, webhooks, settings.ADMIN_TOKEN);
    await playForged(receiver);
  }

  // The bot's program runs beside.
  const engineCall = new AbortController();
  const engine = new Engine(createClient(BotEngineService, transport), settings.BOT_TOKEN, 2, answerTurn, print);
  const engineEnded = engine.run(engineCall);

  // The agent's program shows the channel's open chats. There are none.
  const conversations = createClient(ConversationService, transport);
  const open = await new Inbox(conversations, settings.AGENT_TOKEN, issuer.channel).list();
  expect(open.rows.size, 0);

  // The visitor starts; the bot greets, and answers a message that brings a file.
  await page.start();
  const first = page.chat.id;
  await page.untilText("Ask me anything.");
  await page.send("Is this tyre worn?", [await page.attach("tyre.txt", "It lost air twice.")]);
  expect(await page.open(await page.untilText("Is this tyre worn?")), "It lost air twice.");
  await page.untilText("You wrote: Is this tyre worn?");
  await playInvalid(page, print);

  // The agent takes over from the bot. A repeat of a message posts it once.
  const grace = new Agent(transport, settings.AGENT_TOKEN, settings.AGENT_ID, first);
  await open.watchUntil((rows) => lastText(rows.get(first)) === "You wrote: Is this tyre worn?");
  const inCharge = await refused(grace.post({ text: "Hello, Grace here." }), print);
  expect([inCharge.code, inCharge.reason], [Code.FailedPrecondition, "BOT_IN_CHARGE"]);
  await grace.takeOver();
  const reply = { text: "Hello, Grace here.", requestId: crypto.randomUUID() };
  const posted = await grace.post(reply);
  expect((await grace.post(reply)).sequence, posted.sequence);
  await page.untilText("Hello, Grace here.");

  // All connections are cut. The visitor's message is repeated by the service config until it is sent; the inbox goes on from its
  // cursor and the chat from its last entry.
  let [cut, lost] = [false, false];
  open.lost = async () => {
    if (lost) return;
    lost = true;
    await page.send("It squeaks.");
  };
  await open.watchUntil((rows) => {
    if (!cut) print("cut");
    cut = true;
    return lastText(rows.get(first)) === "It squeaks.";
  });
  expect(lost, true);
  await page.untilText("It squeaks.");
  const listed = await new Inbox(conversations, settings.AGENT_TOKEN, issuer.channel).list();
  expect(open.rows.get(first)?.conversation?.version, listed.rows.get(first)?.conversation?.version);

  // The agent sends a file, an insert and a rich text, mentions a colleague, and finds the conversation by words.
  const prices = "front wheel,20\nrear wheel,25\n";
  const paragraph = { spans: [{ text: "All prices", linkUrl: "https://shop.example/prices" }] };
  await grace.post({
    richText: { blocks: [{ block: { case: "paragraph", value: paragraph } }] },
    insertIds: [await grace.insert()],
    attachmentIds: [await grace.attach("prices.csv", prices)],
  });
  const seen = await page.untilText("All prices (https://shop.example/prices)");
  expect(message(seen)!.inserts.map((insert) => insert.plainText), ["Grace is here until six."]);
  expect(await page.open(seen), prices);
  await grace.mention(grace.id);
  await grace.search("squeaking sad");

  // The agent closes, and reads the transcript, which has no comments.
  await grace.close();
  await page.untilEnded();
  await open.watchUntil((rows) => !rows.has(first));
  const closed = await refused(page.send("Thank you!"), print);
  expect([closed.code, closed.reason], [Code.FailedPrecondition, "CONVERSATION_CLOSED"]);
  const transcript = await grace.preview();
  for (const part of ["Ask me anything.", "Is this tyre worn?", "tyre.txt", "It squeaks.", "prices.csv", "Grace is here until six."]) {
    expect([part, transcript.includes(part)], [part, true]);
  }
  expect(transcript.includes("squeaking saddle"), false);

  // The visitor starts a new conversation, and the bot hands it off.
  await page.start();
  expect(page.chat.previousChatId, first);
  await page.untilText("Ask me anything.");
  await page.send("A person, please");
  await page.untilText("A colleague comes.");
  const again = new Agent(transport, settings.AGENT_TOKEN, grace.id, page.chat.id);
  await again.close();
  await page.untilEnded();
  await page.stop();
  engineCall.abort();
  await engineEnded;

  // Each event of both conversations came, in order, by the stream, over the cut, and by webhooks. None has a text, a name or an address.
  expect(openings > 1, true);
  for (const log of receiver ? [byStream, byWebhook] : [byStream]) {
    for (const chat of [grace, again]) await log.expectAll(chat.conversationId, (await chat.conversation()).version);
    log.expectNone(["Vera", "Grace", "@visitor.example", "shop.example", "tyre", "squeak", "prices", "Ask me anything"]);
  }
  if (receiver) await stopPosting(endpointId, webhooks, settings.ADMIN_TOKEN);

  const hurried = new Widget(visitors, await visitorToken(issuer, `hurried-${visitor}`), issuer.channel, print);
  await playTooOften(hurried, print);
  print("done");
}

/** Greets in two parts, repeats what the visitor wrote, and hands off to a person. */
async function answerTurn(engine: Engine, turn: Turn, over: AbortSignal) {
  if (turn.number === 1) {
    const greeting = ["Hello, I am a program.", "Ask me anything."];
    // Another attempt goes on after the parts that were sent.
    for (let at = turn.sentParts; at < greeting.length; at++) {
      await engine.send(turn, over, at === greeting.length - 1, say(greeting[at]!));
    }
    return;
  }
  const text = (await engine.asked(turn)).join("\n");
  if (!text.includes("person")) return engine.send(turn, over, true, say(`You wrote: ${text}`));
  await engine.send(turn, over, true, say("A colleague comes."), handOff("The visitor asked for a person."));
}
