import { createGrpcTransport } from "@connectrpc/connect-node";
import { visit, type Settings } from "./visitor.js";

const settings = process.env as unknown as Settings;
await visit(createGrpcTransport({ baseUrl: `http://${settings.ADDRESS}` }), settings, console.log);
process.exit(0); // Connections are kept open for further calls.
