// A server stream that goes on across lost connections: the caller keeps the cursor, and opens the next stream after it.
import { Code } from "@connectrpc/connect";
import { readRefusal } from "../refusal";
import type { Token } from "./tokens";

/** Codes that another try does not change. */
const FINAL = [Code.InvalidArgument, Code.NotFound, Code.PermissionDenied, Code.OutOfRange, Code.Unimplemented, Code.Aborted];
/** How long a stream may be silent (milliseconds): the server sends something every 20 seconds. */
const SILENCE = 60_000;
/** The first and the longest pause before another try (milliseconds). */
const [FIRST_PAUSE, LONGEST_PAUSE] = [250, 15_000];

interface Followed<Update> {
  /** Opens the stream after the last update that `take` got. */
  open: (signal: AbortSignal) => AsyncIterable<Update>;
  take: (update: Update) => void;
  /** Whether the stream is connected. */
  connected: (is: boolean) => void;
  token: Token;
}

/** Follows until `stop`; fails with what another try does not change. */
export async function follow<Update>({ open, take, connected, token }: Followed<Update>, stop: AbortSignal) {
  for (let pause = FIRST_PAUSE, refused = false; !stop.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const call = new AbortController();
    const end = () => call.abort();
    stop.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE);
    let delay = 0;
    try {
      for await (const update of open(call.signal)) {
        clearTimeout(silence);
        [pause, refused, silence] = [FIRST_PAUSE, false, setTimeout(end, SILENCE)];
        connected(true);
        take(update);
      }
    } catch (error) {
      if (stop.aborted) return;
      const { code, retryDelayMs } = readRefusal(error);
      if (FINAL.includes(code) || (refused && code === Code.Unauthenticated)) throw error;
      if (code === Code.Unauthenticated) {
        refused = true;
        token.renew();
      }
      delay = retryDelayMs;
    } finally {
      clearTimeout(silence);
      stop.removeEventListener("abort", end);
      call.abort();
    }
    connected(false);
    await wait(delay + Math.random() * pause, stop);
  }
}

/** Ends early when the browser is online again, or with `stop`. */
function wait(milliseconds: number, stop: AbortSignal) {
  return new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
    stop.addEventListener("abort", done);
  });
}
