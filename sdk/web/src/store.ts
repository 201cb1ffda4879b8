/**
 * Events that have no verdict yet, kept where a reload finds them: one entry of `localStorage` each, so that
 * two tabs never write over each other. Where the browser refuses storage they live as long as the page.
 */
export class Store {
  readonly #prefix: string;

  constructor(collector: string) {
    this.#prefix = `thumbline:${collector}:`;
  }

  put(id: string, text: string): void {
    attempt(() => localStorage.setItem(this.#prefix + id, text));
  }

  drop(id: string): void {
    attempt(() => localStorage.removeItem(this.#prefix + id));
  }

  /** All that is kept, also by other tabs and by earlier pages, in the order of the ids, which begin with the time. */
  all<Event extends { event_id: string }>(): Event[] {
    const found: Event[] = [];
    attempt(() => {
      for (const key of Object.keys(localStorage).sort()) {
        if (!key.startsWith(this.#prefix)) continue;
        const event = attempt(() => JSON.parse(localStorage.getItem(key)!)) as Event | undefined;
        // What other code of the origin put there is no event, or has another id: that of its entry takes it out again.
        if (event?.event_id === key.slice(this.#prefix.length)) found.push(event);
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
