import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { retrying } from "./connect.js";
import { play, type PlaySettings } from "./play.js";
import { visit, type Settings } from "./visitor.js";

const settings = Object.fromEntries(new URLSearchParams(location.hash.slice(1))) as unknown as Settings & PlaySettings & { PROGRAM: string };
const program = settings.PROGRAM === "play" ? play : visit;
const transport = createGrpcWebTransport({ baseUrl: `http://${settings.ADDRESS}`, interceptors: [retrying] });
program(transport, settings, console.log).catch((error) => console.error(`failed: ${error}`));
