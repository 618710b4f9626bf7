import { createGrpcTransport } from "@connectrpc/connect-node";
import { retrying } from "./connect.js";
import { play, type PlaySettings } from "./play.js";
import { visit, type Settings } from "./visitor.js";
import { WebhookReceiver } from "./webhook_receiver.js";

const settings = process.env as unknown as Settings & PlaySettings;
const transport = createGrpcTransport({ baseUrl: `http://${settings.ADDRESS}`, interceptors: [retrying] });
if (process.argv[2] === "play") await play(transport, settings, console.log, await new WebhookReceiver().listen());
else await visit(transport, settings, console.log);
process.exit(0); // Connections are kept open for further calls.
