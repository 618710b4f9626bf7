// Plays chats with the pages in the distribution's Chromium, without a window: a visitor and an agent in browsers of their own, from the
// greeting to the mailbox and across a cut connection; then the same with the keyboard alone. Screenshots are in screenshots/, and axe
// checks each page that is shown: names, roles, contrast.
import { mkdirSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { chromium } from "playwright-core";

const { PAGE_PORT, WEB_ADDRESS, CHROMIUM } = process.env;
const AXE = readFileSync("node_modules/axe-core/axe.min.js", "utf8");
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };
/** How long a step may take (milliseconds). */
const STEP = 20_000;
/** Maximum number of times that Tab is pressed to reach something. */
const TABS = 120;

/** A proxy in front of the server, whose connections can be cut. The visitor's browser is behind it. */
function line() {
  const [host, port] = WEB_ADDRESS.split(":");
  const sockets = new Set();
  let isDown = false;
  const server = createServer((near) => {
    if (isDown) return near.destroy();
    const far = connect(Number(port), host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(from);
      from
        .on("error", () => to.destroy())
        .on("close", () => {
          sockets.delete(from);
          to.destroy();
        })
        .pipe(to);
    }
  });
  return {
    start: () => new Promise((resolve) => server.listen(Number(PAGE_PORT), "127.0.0.1", resolve)),
    cut() {
      isDown = true;
      for (const socket of sockets) socket.destroy();
    },
    restore() {
      isDown = false;
    },
  };
}

function expect(holds, what) {
  if (!holds) throw new Error(`not so: ${what}`);
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

async function open(address, file, viewport, colorScheme) {
  const context = await browser.newContext({ viewport, colorScheme, locale: "en-GB", timezoneId: "Europe/Rome" });
  context.setDefaultTimeout(STEP);
  return openIn(context, address, file);
}

async function openIn(context, address, file) {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.log(`error in ${file}: ${error.message}`));
  await page.goto(`http://${address}/example/${file}`);
  return page;
}

/** Takes a screenshot, and checks what is shown for accessibility. */
async function look(page, name) {
  await page.screenshot({ path: `screenshots/${name}.png` });
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(" ")}`);
  expect(found.length === 0, `${name} is accessible\n${found.join("\n")}`);
}

const log = (page) => page.getByRole("log");
const said = (page, text) => log(page).getByText(text).first().waitFor();
const button = (page, name) => page.getByRole("button", { name, exact: true });
const shows = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();

async function write(page, label, text) {
  await page.getByRole("textbox", { name: label }).fill(text);
  await page.keyboard.press("Enter");
}

const rowWith = (inbox, text) => inbox.getByRole("navigation").getByRole("button").filter({ hasText: text }).first();

async function drop(page, name, content) {
  const files = await page.evaluateHandle(
    ([name, content]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([content], name, { type: "text/plain" }));
      return transfer;
    },
    [name, content],
  );
  await page.dispatchEvent(".chat", "drop", { dataTransfer: files });
}

async function fromGreetingToMailbox(wire) {
  const inbox = await open(WEB_ADDRESS, "inbox.html", DESKTOP, "light");
  await inbox.getByRole("switch", { name: "Away" }).waitFor();
  const widget = await open(`127.0.0.1:${PAGE_PORT}`, "widget.html", PHONE, "dark");
  await button(widget, "Start a chat").waitFor();
  await look(widget, "widget-before-phone-dark");
  await button(widget, "Start a chat").click();
  await said(widget, "Which e-mail address");
  await write(widget, "Your message", "mario@visitor.example");
  await look(widget, "widget-bot-phone-dark");
  await button(widget, "Talk to a person").click();
  await shows(widget, "number 1 in the queue");
  console.log("a bot greeted, offered buttons, and handed off; the widget shows the place in the queue");

  await rowWith(inbox, "One moment").click(); // The row came by itself.
  await inbox.getByText("mario@visitor.example not verified").waitFor();
  await look(inbox, "inbox-bot-desktop-light");
  await button(inbox, "Take over").click();
  await said(widget, "Ada Byron joined.");
  await inbox.getByRole("textbox", { name: "Your message" }).pressSequentially("Hello Mario, what is it about?");
  await shows(widget, "Ada Byron is writing");
  await inbox.keyboard.press("Enter");
  await said(widget, "what is it about?");
  await drop(widget, "brake.txt", "It squeals.");
  const file = inbox.getByRole("button", { name: /^brake\.txt/ });
  const [download] = await Promise.all([inbox.waitForEvent("download"), file.click()]);
  expect(readFileSync(await download.path(), "utf8") === "It squeals.", "the agent downloads what the visitor dragged");
  console.log("an agent took over, is seen writing, and got the visitor's file");

  await button(inbox, "Insert …").click();
  for (const title of ["Greeting", "Our prices", "Bring your bicycle", "Why brakes squeal", "New brake pads", "How to clean the rim"]) {
    await inbox.getByRole("checkbox", { name: new RegExp(`^${title}`) }).check();
  }
  await look(inbox, "inbox-inserts-desktop-light");
  await button(inbox, "Done").click();
  await button(inbox, "Send").click();
  await said(widget, "this is Ada Byron of Rossi Bicycles");
  await said(widget, "Q-17");
  const played = await log(widget)
    .locator("video")
    .evaluate(async (video) => {
      video.muted = true;
      await video.play();
      while (video.currentTime === 0) await new Promise(requestAnimationFrame);
      return video.currentTime;
    });
  expect(played > 0, "the video plays");
  await inbox.getByRole("radio", { name: "Comment for the team" }).check();
  await inbox.getByRole("textbox", { name: /^Your comment/ }).pressSequentially("Careful with the price, @al");
  await inbox
    .getByRole("listbox", { name: "Colleagues" })
    .getByRole("option", { name: /Alan Turing/ })
    .waitFor();
  await look(inbox, "inbox-mention-desktop-light");
  await inbox.keyboard.press("Enter");
  await inbox.keyboard.press("Enter");
  await log(inbox).locator("mark", { hasText: "@alan" }).waitFor();
  await inbox.getByRole("radio", { name: "Message" }).check();
  console.log("six inserts arrived, the video plays, a comment mentions a colleague");

  wire.cut();
  await shows(widget, "The connection is lost");
  await write(widget, "Your message", "Is tomorrow possible?");
  await button(widget, "Send again").waitFor();
  for (const text of ["The pads cost 48 euros.", "Shall I order them?"]) {
    await write(inbox, "Your message", text);
    await said(inbox, text);
  }
  wire.restore();
  await said(widget, "Shall I order them?");
  await button(widget, "Send again").click();
  await said(inbox, "Is tomorrow possible?");
  const texts = await log(widget).locator(".message > .text").allTextContents();
  expect(
    texts.slice(-3).join("|") === "The pads cost 48 euros.|Shall I order them?|Is tomorrow possible?",
    `nothing is lost or repeated: ${texts}`,
  );
  expect(!texts.some((text) => text.includes("Careful")), "the visitor does not see the comment");
  console.log("the widget went on after a cut connection, without a gap or repeat");

  await button(inbox, "Close").click();
  await inbox.getByText(/^The mail to mario@visitor\.example was sent/).waitFor();
  await look(inbox, "inbox-closed-desktop-light");
  await button(widget, "Start a new conversation").waitFor();
  await look(widget, "widget-ended-phone-dark");
  const mailbox = await openIn(inbox.context(), WEB_ADDRESS, "mailbox.html");
  await mailbox
    .getByRole("button", { name: /Your chat with Rossi Bicycles/ })
    .first()
    .click();
  const mail = mailbox.frameLocator("iframe").locator("body");
  await mail.getByText("Shall I order them?").waitFor();
  expect(!(await mail.textContent()).includes("Careful"), "the comment is not in the mail");
  await look(mailbox, "mailbox-desktop-light");
  console.log("the chat ended, and its transcript is in the mailbox");

  await button(widget, "Start a new conversation").click();
  await said(widget, "Which e-mail address");
  await write(widget, "Your message", "mario@visitor.example");
  await button(widget, "Talk to a person").waitFor();
  await rowWith(inbox, "How can we help?").click();
  await button(inbox, "Take over").click();
  await inbox
    .getByRole("complementary")
    .getByRole("button", { name: /closed/ })
    .waitFor(); // Their other chat.
  await inbox.getByRole("textbox", { name: "Subject of a new ticket" }).fill("Order brake pads");
  await button(inbox, "Create").click();
  await said(inbox, "created a ticket");
  await button(inbox, "Close").click();
  await inbox
    .getByRole("region", { name: "Transcript" })
    .getByText(/ticket/i)
    .first()
    .waitFor();
  await button(inbox, "Email chat transcript …").click();
  await inbox.getByLabel("Subject", { exact: true }).fill("Your brake pads");
  await button(inbox, "Preview").click();
  await inbox.getByLabel("Preview of the mail as plain text").waitFor();
  await look(inbox, "inbox-transcript-desktop-light");
  await inbox.getByRole("dialog").getByRole("button", { name: "Send", exact: true }).click();
  await said(inbox, "mailed the transcript");
  await mailbox.getByRole("button", { name: /Your brake pads/ }).waitFor();
  console.log("a ticket kept the second transcript back, and it was mailed by hand");

  const phone = await openIn(await browser.newContext({ viewport: PHONE, colorScheme: "dark" }), WEB_ADDRESS, "inbox.html");
  await phone.getByRole("combobox", { name: "Status" }).selectOption("all");
  await look(phone, "inbox-rows-phone-dark");
  await rowWith(phone, "Is tomorrow possible?").click();
  await said(phone, "Is tomorrow possible?");
  await look(phone, "inbox-thread-phone-dark");
  await phone.context().close();
  await inbox.context().close();
  await widget.context().close();
}

/** Presses Tab until the element has the focus. */
async function tabTo(page, element) {
  await element.waitFor();
  for (let times = 0; times < TABS; times++) {
    if (await element.evaluate((found) => found === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the keyboard does not reach ${element}`);
}

async function press(page, element, key = "Enter") {
  await tabTo(page, element);
  await page.keyboard.press(key);
}

async function type(page, element, text) {
  await tabTo(page, element);
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

async function withTheKeyboardAlone() {
  const inbox = await open(WEB_ADDRESS, "inbox.html", DESKTOP, "dark");
  await inbox.getByRole("switch", { name: "Away" }).waitFor();
  const widget = await open(`127.0.0.1:${PAGE_PORT}`, "widget.html", DESKTOP, "light");
  await press(widget, button(widget, "Start a chat"));
  await said(widget, "Which e-mail address");
  await type(widget, widget.getByRole("textbox", { name: "Your message" }), "nina@visitor.example");
  await press(widget, button(widget, "Talk to a person"));
  await said(widget, "One moment");
  await look(widget, "widget-desktop-light");

  await press(inbox, rowWith(inbox, "One moment"));
  await press(inbox, button(inbox, "Take over"));
  await said(widget, "Ada Byron joined.");
  await type(inbox, inbox.getByRole("textbox", { name: "Your message" }), "Hello Nina");
  await said(widget, "Hello Nina");
  await press(inbox, button(inbox, "Insert …"));
  await press(inbox, inbox.getByRole("checkbox", { name: /^New brake pads/ }), "Space");
  await press(inbox, button(inbox, "Done"));
  await press(inbox, button(inbox, "Send"));
  await said(widget, "Q-17");
  await tabTo(inbox, inbox.getByRole("radio", { name: "Message" }));
  await inbox.keyboard.press("ArrowRight");
  await tabTo(inbox, inbox.getByRole("textbox", { name: /^Your comment/ }));
  await inbox.keyboard.type("Ask @al");
  await inbox
    .getByRole("listbox", { name: "Colleagues" })
    .getByRole("option", { name: /Alan Turing/ })
    .waitFor();
  await inbox.keyboard.press("Enter");
  await inbox.keyboard.type("please");
  await inbox.keyboard.press("Enter");
  await said(inbox, "please");
  await look(inbox, "inbox-thread-desktop-dark");
  await press(inbox, button(inbox, "Close"));
  await press(inbox, button(inbox, "Email chat transcript …"));
  await inbox.getByRole("dialog").waitFor();
  await look(inbox, "inbox-transcript-desktop-dark");
  await inbox.keyboard.press("Escape");
  await inbox.getByRole("dialog").waitFor({ state: "hidden" });
  await press(widget, button(widget, "Start a new conversation"));
  await said(widget, "Hello, I am Robin");
  console.log("both pages work with the keyboard alone");
}

mkdirSync("screenshots", { recursive: true });
const wire = line();
await wire.start();
try {
  await fromGreetingToMailbox(wire);
  await withTheKeyboardAlone();
  console.log("done");
} catch (error) {
  for (const context of browser.contexts()) {
    for (const [at, page] of context.pages().entries())
      await page.screenshot({ path: `screenshots/failed-${browser.contexts().indexOf(context)}-${at}.png` }).catch(() => {});
  }
  console.log(error.stack);
  process.exitCode = 1;
}
await browser.close();
process.exit();
