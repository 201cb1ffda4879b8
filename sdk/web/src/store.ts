/**
 * Events that have no verdict yet, kept where a reload finds them: one entry of `localStorage` each, so that
 * two tabs never write over each other. Where the browser refuses storage they live as long as the page.
 */
export class Store {
  readonly #prefix: string;

  constructor(collector: string) {
    this.#prefix = `thumbline:${collector}:`;
  }

  put(id: string, event: unknown): void {
    attempt(() => localStorage.setItem(this.#prefix + id, JSON.stringify(event)));
  }

  drop(id: string): void {
    attempt(() => localStorage.removeItem(this.#prefix + id));
  }

  /** All that is kept, also by other tabs and by earlier pages. */
  all<Event extends { event_id: string }>(): Event[] {
    const found: Event[] = [];
    attempt(() => {
      for (const key of Object.keys(localStorage)) {
        if (!key.startsWith(this.#prefix)) continue;
        const event = attempt(() => JSON.parse(localStorage.getItem(key)!)) as Event | undefined;
        if (event?.event_id) found.push(event);
        else localStorage.removeItem(key);
      }
    });
    return found;
  }
}

function attempt<Result>(action: () => Result): Result | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
