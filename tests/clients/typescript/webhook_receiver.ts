// A receiver of webhooks, in Node.js: it verifies each request, and hands its event on. It needs no stubs.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** Maximum size of a request that is read, in bytes. Events have no text, and are smaller. */
const MAX_BYTES = 1 << 20;

/** The JSON of an event, without its data. */
export interface PostedEvent {
  id: string; type: string; aggregateType: string; aggregateId: string; version: number;
}

export class WebhookReceiver {
  url = "";
  /** That of the endpoint, from CreateWebhookEndpoint. Without one all requests are refused. */
  secret = "";
  /** Gets each event, and the bytes that came. */
  handle: (event: PostedEvent, body: Uint8Array) => void = () => {};

  /** Listens on a free port of this machine. */
  async listen() {
    const server = createServer(async (request, response) => response.writeHead(await this.receive(request)).end());
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/frontdesk`;
    return this;
  }

  /** The status of the answer. */
  private async receive(request: IncomingMessage) {
    if (Number(request.headers["content-length"] ?? Infinity) > MAX_BYTES) return 413;
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts); // The signature is of these bytes: verify them before anything reads the JSON.
    let event: PostedEvent;
    try {
      event = new Webhook(this.secret).verify(body, request.headers as Record<string, string>) as PostedEvent;
    } catch { // Also without a secret.
      return 401;
    }
    // It has ten seconds. Work that takes longer is stored here, and done afterwards.
    this.handle(event, body);
    return 204;
  }
}
