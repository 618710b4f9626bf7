/** A token that is fetched when it is needed, and again when the server refuses it or it is about to expire. */
export class Token {
  #current: Promise<string> | undefined;
  #renewAt = 0;

  /** `fetch` returns a token, and from when on to renew it (milliseconds since 1970). */
  constructor(private readonly fetch: () => Promise<{ token: string; renewAt: number }>) {}

  get(): Promise<string> {
    if (!this.#current || Date.now() >= this.#renewAt) {
      this.#renewAt = Number.POSITIVE_INFINITY;
      this.#current = this.fetch().then(
        ({ token, renewAt }) => {
          this.#renewAt = renewAt;
          return token;
        },
        (error) => {
          this.#current = undefined;
          throw error;
        },
      );
    }
    return this.#current;
  }

  /** The next call fetches another one. */
  renew() {
    this.#current = undefined;
  }
}
