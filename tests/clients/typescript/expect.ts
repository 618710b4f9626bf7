import { readRefusal } from "./refusal.js";

export function expect(found: unknown, wanted: unknown) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`found ${left} instead of ${right}`);
}

/** The refusal of a call. */
export async function refused(call: Promise<unknown>, print: (line: string) => void) {
  const refusal = await call.then(
    () => { throw new Error("a call that should be refused was not"); },
    (error) => readRefusal(error),
  );
  print(`refused: ${refusal.name} ${refusal.reason} ${JSON.stringify(refusal.metadata)} ${refusal.fields}`);
  return refusal;
}
