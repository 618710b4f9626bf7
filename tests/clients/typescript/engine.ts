import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, type Client } from "@connectrpc/connect";
import { calling, sleep, unlessSilent, watching } from "./connect.js";
import { ActorKind } from "./gen/frontdesk/actor/v1/actor_pb.js";
import type { BotEngineService, Turn, TurnPartSchema } from "./gen/frontdesk/botsession/v1/bot_engine_service_pb.js";
import { readRefusal } from "./refusal.js";
import { FINAL } from "./watch.js";

type Part = MessageInitShape<typeof TurnPartSchema>;

/** A bot as a program: it takes the turns of its bot's sessions, a limited number at a time, and answers them. */
export class Engine {
  /** What ends the work on each turn, by attempt. */
  private readonly working = new Map<string, AbortController>();

  /** `answer` answers a turn with `send`. Its signal is aborted when the turn is over. */
  constructor(
    private readonly client: Client<typeof BotEngineService>, private readonly token: string, private readonly maxTurns: number,
    private readonly answer: (engine: Engine, turn: Turn, over: AbortSignal) => Promise<void>, private readonly print: (line: string) => void,
  ) {}

  /** Watches the turns, across lost connections, until `call` is aborted or the bot has no engine any more. */
  async run(call: AbortController) {
    for (let pause = 250; !call.signal.aborted; pause = Math.min(2 * pause, 30_000)) {
      const stream = new AbortController();
      const abort = () => stream.abort();
      call.signal.addEventListener("abort", abort);
      let delay = 0;
      try {
        // Turns that were leased to the stream before are still worked on, and count.
        const free = this.maxTurns - this.working.size;
        // Otherwise ask again when a turn has ended: 0 would mean the default.
        if (free > 0) {
          const updates = this.client.watchTurns({ maxTurns: free }, watching(this.token, stream));
          for await (const { update } of unlessSilent(updates, stream)) {
            pause = 250;
            // Others are skipped, also those of later versions.
            if (update.case === "turn") void this.start(update.value);
            else if (update.case === "turnOver") this.stop(`${update.value.turnId}/${update.value.attempt}`);
          }
        }
      } catch (error) {
        const refusal = readRefusal(error);
        if (!call.signal.aborted && (FINAL.includes(refusal.code) || refusal.reason === "BOT_HAS_NO_ENGINE")) throw error;
        delay = refusal.retryDelayMs;
      } finally {
        call.signal.removeEventListener("abort", abort);
        stream.abort();
      }
      if (!call.signal.aborted) await sleep(delay + Math.random() * pause);
    }
  }

  private async start(turn: Turn) {
    const attempt = `${turn.id}/${turn.attempt}`;
    const over = new AbortController();
    this.working.set(attempt, over);
    try {
      await this.answer(this, turn, over.signal);
    } catch (error) {
      this.print(`turn ${turn.number} was not answered: ${error}`); // It is sent again, or goes to the team.
    } finally {
      this.stop(attempt);
    }
  }

  private stop(attempt: string) {
    this.working.get(attempt)?.abort();
    this.working.delete(attempt);
  }

  /** Answers a turn, or sends a part of the answer. After a lost response it repeats the call with its request id. */
  async send(turn: Turn, over: AbortSignal, endsTurn: boolean, ...parts: Part[]) {
    const request = { turnId: turn.id, attempt: turn.attempt, parts, endsTurn, requestId: crypto.randomUUID() };
    for (let pause = 100; ; pause = Math.min(2 * pause, 5_000)) {
      try {
        await this.client.answerTurn(request, { ...calling(this.token), timeoutMs: 10_000, signal: over });
        return;
      } catch (error) {
        const refusal = readRefusal(error);
        if (over.aborted || ![Code.Unavailable, Code.DeadlineExceeded].includes(refusal.code)) throw error;
        await sleep(refusal.retryDelayMs + Math.random() * pause);
      }
    }
  }

  /** What the visitor wrote since the previous turn. */
  async asked(turn: Turn) {
    const texts: string[] = [];
    for (let afterSequence = turn.previousSequence, more = true; more; ) {
      const page = await this.client.listTurnEntries({ turnId: turn.id, afterSequence }, calling(this.token));
      for (const { author, sequence, content } of page.entries) {
        const isAsked = author?.kind === ActorKind.VISITOR && sequence <= turn.lastSequence;
        if (isAsked && content.case === "message") texts.push(content.value.text);
      }
      [afterSequence, more] = [page.lastSequence, page.hasMore];
    }
    return texts;
  }
}

export const say = (text: string): Part => ({ part: { case: "message", value: { text } } });
export const handOff = (reason: string): Part => ({ part: { case: "handOff", value: { reason } } });
