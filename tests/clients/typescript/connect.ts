import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import serviceConfig from "./protos/service_config.json" with { type: "json" };

/**
 * Repeats calls as the service config says that is published with the protos; Connect does not read it. Writes have a request id, so a
 * repeat is safe. Streams are called again by those who read them.
 */
export const retrying: Interceptor = (next) => async (request) => {
  const policy = request.stream ? undefined : policyOf(request.service.typeName, request.method.name);
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request);
    } catch (error) {
      if (!policy || attempt >= policy.maxAttempts || !policy.retryableStatusCodes.includes(statusOf(ConnectError.from(error), request.signal))) throw error;
      const pause = Math.min(parseFloat(policy.initialBackoff) * policy.backoffMultiplier ** (attempt - 1), parseFloat(policy.maxBackoff));
      await sleep(1000 * pause * (0.8 + 0.4 * Math.random()));
    }
  }
};

interface MethodConfig {
  name: { service?: string; method?: string }[];
  retryPolicy?: { maxAttempts: number; initialBackoff: string; maxBackoff: string; backoffMultiplier: number; retryableStatusCodes: string[] };
}

/** The policy of a method: the entry that names it, else that of its service, else the one for all. */
function policyOf(service: string, method: string) {
  const configs = serviceConfig.methodConfig as MethodConfig[];
  const naming = (wanted: MethodConfig["name"][number]) =>
    configs.find(({ name }) => name.some((one) => one.service === wanted.service && one.method === wanted.method));
  return (naming({ service, method }) ?? naming({ service }) ?? naming({}))?.retryPolicy;
}

/**
 * The status of a failed call. The connection failed, and no answer came, where an error has a cause, which is the library's own, and where
 * a call was cancelled that this program did not cancel.
 */
function statusOf({ code, cause }: ConnectError, { aborted }: AbortSignal) {
  const unanswered = code === Code.Canceled ? !aborted : cause !== undefined && code !== Code.DeadlineExceeded;
  return unanswered ? "UNAVAILABLE" : Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** Options of a call with a token. A stream has no deadline. */
export const calling = (token: string) => ({ headers: { authorization: `Bearer ${token}` }, timeoutMs: 30_000 });
export const watching = (token: string, call: AbortController) => ({ ...calling(token), timeoutMs: 0, signal: call.signal });

/** Ends a stream after a minute of silence: the server sends something every 20 seconds, and a browser does not notice a lost connection. */
export async function* unlessSilent<T>(stream: AsyncIterable<T>, call: AbortController) {
  const silence = () => setTimeout(() => call.abort(), 60_000);
  let timer = silence();
  try {
    for await (const message of stream) {
      clearTimeout(timer);
      timer = silence();
      yield message;
    }
  } finally {
    clearTimeout(timer);
  }
}

export const sleep = (milliseconds: number) => new Promise<void>((resume) => setTimeout(resume, milliseconds));
