import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { visit, type Settings } from "./visitor.js";

const settings = Object.fromEntries(new URLSearchParams(location.hash.slice(1))) as unknown as Settings;
visit(createGrpcWebTransport({ baseUrl: `http://${settings.ADDRESS}` }), settings, console.log).catch((error) => console.error(`failed: ${error}`));
