// Creates what the example needs in the development account, as an administrator would: a team, a bot, inserts, a channel, and a
// verified sender address. What exists already stays. The request ids are fixed, so two pages that begin at once create it once.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FlowSchema } from "../gen/frontdesk/botsession/v1/flow_pb";
import type { Channel } from "../gen/frontdesk/conversation/v1/channel_pb";
import type { CreateInsertRequestSchema } from "../gen/frontdesk/conversation/v1/insert_service_pb";
import { teamApi, type TeamApi } from "./api";
import { adminToken, agentId, mails } from "./session";

const SHOP = "Rossi Bicycles";
const BOT = "Robin";
/** How often the mailbox is read for the code that verifies the sender address, and the pause in between (milliseconds). */
const [TRIES, PAUSE] = [60, 500];

const COLLEAGUES = [
  { agentId: "00000000-0000-7000-8000-0000000000a2", name: "Grace Hopper", handle: "grace", email: "grace@bicycles.example" },
  { agentId: "00000000-0000-7000-8000-0000000000a3", name: "Alan Turing", handle: "alan", email: "alan@bicycles.example" },
];

interface NewInsert {
  shortcut: string;
  title: string;
  content: NonNullable<Extract<MessageInitShape<typeof CreateInsertRequestSchema>, { $typeName?: undefined }>["content"]>;
}

const INSERTS: NewInsert[] = [
  {
    shortcut: "hello",
    title: "Greeting",
    content: { case: "snippet", value: { text: "Hello {{contact.first_name|there}}, this is {{agent.name}} of {{channel.name}}." } },
  },
  {
    shortcut: "prices",
    title: "Our prices",
    content: { case: "document", value: { url: "https://bicycles.example/prices.pdf", fileName: "prices.pdf" } },
  },
  {
    shortcut: "visit",
    title: "Bring your bicycle",
    content: { case: "meeting", value: { url: "https://bicycles.example/book", durationMinutes: 15 } },
  },
  {
    shortcut: "brakes",
    title: "Why brakes squeal",
    content: {
      case: "knowledgeArticle",
      value: { url: "https://bicycles.example/help/brakes", summary: "Most often the pads are dirty or worn. Clean the rim first." },
    },
  },
  {
    shortcut: "quote",
    title: "New brake pads",
    content: {
      case: "quote",
      value: {
        number: "Q-17",
        total: { amount: "48.00", currencyCode: "EUR" },
        expireDate: "2030-12-31",
        url: "https://bicycles.example/quotes/17",
      },
    },
  },
];
/** The video is a file of this page, so its address is that of the server. */
const video = (): NewInsert => ({
  shortcut: "video",
  title: "How to clean the rim",
  content: { case: "video", value: { sourceUrl: new URL("clip.webm", location.href).href, mediaType: "video/webm" } },
});

const flow = (): MessageInitShape<typeof FlowSchema> => ({
  steps: [
    { id: "hello", action: { case: "say", value: { text: `Hello, I am ${BOT}, the bot of ${SHOP}.` } } },
    {
      id: "address",
      action: { case: "ask", value: { text: "Which e-mail address may we write to, if we lose each other here?", property: "email" } },
    },
    {
      id: "topic",
      action: {
        case: "buttons",
        value: {
          text: "Thank you. How can we help?",
          buttons: [
            { id: "person", label: "Talk to a person", nextStepId: "person" },
            { id: "hours", label: "Opening hours", nextStepId: "hours" },
          ],
        },
      },
    },
    {
      id: "person",
      action: { case: "handOff", value: { text: "One moment, a colleague is coming.", reason: "The visitor asked for a person." } },
    },
    { id: "hours", action: { case: "say", value: { text: "We are open from Tuesday to Saturday, 9 to 18." } } },
    { id: "bye", action: { case: "close", value: { text: "Goodbye!" } } },
  ],
});

/** Returns the channel of the example, with its widget token. */
export async function prepareExample(): Promise<Channel> {
  const api = teamApi(adminToken);
  await createTeam(api, await agentId());
  await createInserts(api);
  await verifySender(api);
  return (await findChannel(api)) ?? createChannel(api);
}

const findChannel = async (api: TeamApi) =>
  (await api.channels.listChannels({ pageSize: 200 })).channels.find((channel) => channel.name === SHOP && channel.widgetToken);

async function createTeam(api: TeamApi, agentId: string) {
  const { agents } = await api.roster.listAgents({ showDeactivated: true, pageSize: 200 });
  const ada = { agentId, name: "Ada Byron", handle: "ada", email: "ada@bicycles.example" };
  for (const agent of [ada, ...COLLEAGUES]) {
    if (agents.some(({ id }) => id === agent.agentId)) continue;
    const taken = agents.some(({ handle }) => handle === agent.handle);
    const handle = taken ? `${agent.handle}-example` : agent.handle;
    await api.roster.createAgent({ ...agent, handle, requestId: `example-${agent.agentId}` });
  }
}

async function createInserts(api: TeamApi) {
  const known = (await api.inserts.listInserts({ pageSize: 200 })).inserts;
  for (const insert of [...INSERTS, video()]) {
    if (known.some(({ shortcut }) => shortcut === insert.shortcut)) continue;
    await api.inserts.createInsert({ ...insert, requestId: `example-${insert.shortcut}` });
  }
}

async function createChannel(api: TeamApi): Promise<Channel> {
  // A bot of this name may be another: lists have no flows.
  const bot = (await api.bots.createBot({ name: BOT, flow: flow(), requestId: "example-bot" })).bot!;
  const { channel } = await api.channels.createChannel({
    name: SHOP,
    websiteUrl: "https://bicycles.example",
    timeZone: "Europe/Rome",
    greeter: { case: "botId", value: bot.id },
    anonymousVisitors: { allowedOrigins: [] },
    requestId: "example-channel",
  });
  return channel!;
}

/** Without a verified sender address a delivery fails with that reason. */
async function verifySender(api: TeamApi) {
  const { senders } = await api.senders.listSenders({ pageSize: 200 });
  if (senders.some(({ fallback, verified }) => fallback && verified)) return;
  const email = "chat@bicycles.example";
  const { sender } = await api.senders.createSender({ email, displayName: SHOP, requestId: "example-sender" });
  if (!sender!.verified) {
    const code = await codeMailedTo(email);
    await api.senders.verifySender({ senderId: sender!.id, code });
  }
  await api.senders.setFallbackSender({ senderId: sender!.id });
}

async function codeMailedTo(email: string) {
  for (let tries = 0; tries < TRIES; tries++) {
    for (const mail of await mails()) {
      const code = mail.to === email && /\b\d{8}\b/.exec(mail.text)?.[0];
      if (code) return code;
    }
    await new Promise((resume) => setTimeout(resume, PAUSE));
  }
  throw new Error(`The mail with the code for ${email} did not come.`);
}
