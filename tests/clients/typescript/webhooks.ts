import type { Client } from "@connectrpc/connect";
import { calling } from "./connect.js";
import { expect } from "./expect.js";
import type { WebhookService } from "./gen/frontdesk/notification/v1beta1/webhook_service_pb.js";
import type { WebhookReceiver } from "./webhook_receiver.js";

/** Has the events of the account posted to the receiver from now on, those of each aggregate in order. Returns the endpoint's id. */
export async function postTo(receiver: WebhookReceiver, webhooks: Client<typeof WebhookService>, token: string) {
  const create = { url: receiver.url, ordered: true, requestId: crypto.randomUUID() };
  const { webhookEndpoint, secret } = await webhooks.createWebhookEndpoint(create, calling(token));
  receiver.secret = secret;
  return webhookEndpoint!.id;
}

export async function stopPosting(webhookEndpointId: string, webhooks: Client<typeof WebhookService>, token: string) {
  await webhooks.deleteWebhookEndpoint({ webhookEndpointId }, calling(token));
}

/** Sends the receiver a request with a signature of somebody else, which it refuses. */
export async function playForged(receiver: WebhookReceiver) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const headers = { "webhook-id": crypto.randomUUID(), "webhook-timestamp": timestamp, "webhook-signature": `v1,${"A".repeat(43)}=` };
  expect((await fetch(receiver.url, { method: "POST", headers, body: "{}" })).status, 401);
}
