import { sleep } from "./connect.js";
import { expect } from "./expect.js";

/** The events that a program got, by one of the ways. */
export class EventLog {
  private readonly ids = new Set<string>();
  private readonly versions = new Map<string, number[]>();
  private readonly contents: string[] = [];

  /** Handles an event once. In your program the id is stored in the transaction of the effect. */
  add({ id, aggregateId, version }: { id: string; aggregateId: string; version: number }, content: Uint8Array) {
    this.contents.push(new TextDecoder().decode(content));
    if (this.ids.has(id)) return; // Every event can come again.
    this.ids.add(id);
    this.versions.set(aggregateId, [...this.seen(aggregateId), version]);
  }

  private seen(aggregateId: string) {
    return this.versions.get(aggregateId) ?? [];
  }

  /** Waits for the events of an aggregate up to a version. Each came, and in order. */
  async expectAll(aggregateId: string, version: number) {
    while (!this.seen(aggregateId).includes(version)) await sleep(50);
    expect(this.seen(aggregateId), this.seen(aggregateId).map((_, at) => at + 1));
  }

  /** No event contains one of the words. */
  expectNone(words: string[]) {
    expect(words.filter((word) => this.contents.some((content) => content.includes(word))), []);
  }
}
