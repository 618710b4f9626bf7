// What a development server has for these pages alone, beside its public API: tokens of the development account, and its mailbox.
// Where you build an inbox, the token comes from your identity provider.
import { Token } from "./tokens";

interface Session {
  admin_token: string;
  agent_token: string;
  agent_id: string;
}

export interface Mail {
  file_name: string;
  to: string;
  from: string;
  subject: string;
  text: string;
  html: string;
}

/** How long a token is used (milliseconds). It is valid for longer. */
const USE = 60 * 60 * 1000;

async function read<Content>(path: string): Promise<Content> {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

const session = () => read<Session>("session");

const of = (choose: (session: Session) => string) => new Token(async () => ({ token: choose(await session()), renewAt: Date.now() + USE }));

export const agentToken = of((session) => session.agent_token);
export const adminToken = of((session) => session.admin_token);
export const agentId = async () => (await session()).agent_id;

/** The mails of the development account, newest first. */
export const mails = () => read<Mail[]>("mails");
