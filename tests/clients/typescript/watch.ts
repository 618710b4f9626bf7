import { Code, type Client } from "@connectrpc/connect";
import type { VisitorService } from "./gen/frontdesk/conversation/v1/visitor_service_pb.js";
import { readRefusal } from "./refusal.js";

/** Codes that another try does not change. */
export const FINAL = [Code.InvalidArgument, Code.NotFound, Code.PermissionDenied, Code.OutOfRange, Code.Unimplemented];

/** Yields the entries after a visitor sequence, across lost connections, without end. `token(renew)`: a new one if `renew`. */
export async function* watchChat(
  visitors: Client<typeof VisitorService>, chatId: string, token: (renew: boolean) => Promise<string>, after = 0,
) {
  for (let pause = 250, renew = false; ; pause = Math.min(2 * pause, 30_000)) {
    const call = new AbortController();
    // The server sends something every 20 seconds: a minute of silence is a lost connection.
    const silence = () => setTimeout(() => call.abort(), 60_000);
    let timer = silence();
    let delay = 0;
    try {
      const options = { headers: { authorization: `Bearer ${await token(renew)}` }, signal: call.signal };
      for await (const { update } of visitors.watchChat({ chatId, afterVisitorSequence: after }, options)) {
        clearTimeout(timer);
        [pause, renew, timer] = [250, false, silence()];
        if (update.case === "entry") { // Others are skipped, also those of later versions.
          after = update.value.visitorSequence;
          yield update.value;
        }
      }
    } catch (error) {
      const refusal = readRefusal(error);
      if (FINAL.includes(refusal.code) || (renew && refusal.code === Code.Unauthenticated)) throw error;
      [renew, delay] = [refusal.code === Code.Unauthenticated, refusal.retryDelayMs];
    } finally {
      clearTimeout(timer);
      call.abort();
    }
    await new Promise((resume) => setTimeout(resume, delay + Math.random() * pause));
  }
}
