import type { Agent } from "../gen/frontdesk/assignment/v1/agent_pb";

/** The text as the server stores it, so that ranges count the same characters. */
export const normalized = (text: string) =>
  text
    .normalize("NFC")
    .replace(/\r\n?/g, "\n")
    .replace(/[\u202A-\u202E\uFEFF]/g, "")
    .trim();

/** The agents whose handles stand in a text behind an `@`; ranges count code points. */
export function mentionsIn(text: string, agents: Agent[]) {
  const mentions: { start: number; length: number; agentId: string }[] = [];
  for (const found of text.matchAll(/(?<![\p{L}\p{N}_@.])@([a-z0-9][a-z0-9._-]{0,39})/gu)) {
    // A handle may end with a full stop; the end of a sentence does as well.
    for (let handle = found[1]!; handle; handle = handle.endsWith(".") ? handle.slice(0, -1) : "") {
      const agent = agents.find((known) => known.handle === handle);
      if (!agent) continue;
      mentions.push({ start: [...text.slice(0, found.index)].length, length: handle.length + 1, agentId: agent.id });
      break;
    }
  }
  return mentions.slice(0, 20);
}

/** The handle that is being written before the caret: what follows its `@`. Undefined: none. */
export const handleBefore = (text: string, caret: number) => /(?:^|\s)@([a-z0-9._-]{0,39})$/i.exec(text.slice(0, caret))?.[1];
