import { Code } from "@connectrpc/connect";
import { calling, sleep } from "./connect.js";
import { expect, refused } from "./expect.js";
import type { Widget } from "./widget.js";

/** Has a message refused whose fields are invalid, and reads which. */
export async function playInvalid(page: Widget, print: (line: string) => void) {
  const message = { chatId: "x", text: "\u0001", requestId: crypto.randomUUID() };
  const invalid = await refused(page.client.sendMessage(message, calling(page.token)), print);
  expect([invalid.code, invalid.reason], [Code.InvalidArgument, "INVALID_FIELDS"]);
  expect(invalid.fields.sort(), ["chat_id", "text"]);
}

/** Calls until the rate limit of the visitor refuses a call, and waits for as long as the refusal says. */
export async function playTooOften(page: Widget, print: (line: string) => void) {
  const call = () => page.client.getWidget({ channelId: page.channelId }, calling(page.token));
  let allowed = 0;
  const limited = await refused((async () => { while (allowed < 2000) { await call(); allowed++; } })(), print);
  expect([limited.code, limited.reason], [Code.ResourceExhausted, "RATE_LIMITED"]);
  expect(limited.metadata["whose"], "caller");
  expect(limited.retryDelayMs > 0, true);
  await sleep(limited.retryDelayMs);
  await call();
}
