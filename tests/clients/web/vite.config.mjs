// Builds the pages to dist/. Their addresses are relative, because the server has them under /example/.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    rolldownOptions: { input: ["index.html", "widget.html", "inbox.html", "mailbox.html"] },
  },
});
