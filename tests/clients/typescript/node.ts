import { createGrpcTransport } from "@connectrpc/connect-node";
import { retrying } from "./connect.js";
import { play, type PlaySettings } from "./play.js";
import { visit, type Settings } from "./visitor.js";

const settings = process.env as unknown as Settings & PlaySettings;
const program = process.argv[2] === "play" ? play : visit;
await program(createGrpcTransport({ baseUrl: `http://${settings.ADDRESS}`, interceptors: [retrying] }), settings, console.log);
process.exit(0); // Connections are kept open for further calls.
