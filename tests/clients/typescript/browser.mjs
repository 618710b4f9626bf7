// Opens the page of page.ts in the distribution's Chromium, without a window, and prints what the page prints.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Shop</title><script type="module">${readFileSync("page.js")}</script>`;
createServer((request, response) => {
  response.writeHead(request.url === "/" ? 200 : 404, { "content-type": "text/html" }).end(request.url === "/" ? page : "");
}).listen(Number(process.env.PAGE_PORT), "127.0.0.1");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const tab = await browser.newPage();
const ended = new Promise((resolve) => {
  tab.on("console", (message) => {
    console.log(message.text());
    if (message.text() === "done") resolve(0);
    if (message.text().startsWith("failed:")) resolve(1);
  });
  tab.on("pageerror", (error) => { console.log(error.message); resolve(1); });
  setTimeout(() => { console.log("no end within 60 seconds"); resolve(1); }, 60_000);
});
const hash = new URLSearchParams({ PROGRAM: process.argv[2] ?? "visit" });
// Only what the programs read, so that no other variable reaches the page.
const settings = ["ADDRESS", "CHANNEL_ID", "VISITOR_TOKEN", "EXPIRED_TOKEN", "WIDGET_TOKEN", "ACCOUNT_ID", "KEY_ID", "KEY_SECRET", "AGENT_ID",
  "AGENT_TOKEN", "BOT_TOKEN", "ADMIN_TOKEN"];
for (const name of settings) {
  if (process.env[name]) hash.set(name, process.env[name]);
}
await tab.goto(`http://127.0.0.1:${process.env.PAGE_PORT}/#${hash}`);
const code = await ended;
await browser.close();
process.exit(code);
