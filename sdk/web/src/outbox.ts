import type { Verdicts, Vote } from "./contract.js";
import { Store } from "./store.js";

/** Where an event is: on its way, on the collector's disk, or given up for the reason that `why` tells. */
export interface State {
  readonly eventId: string;
  readonly status: "waiting" | "saved" | "refused";
  /** Of a refused event: the field at fault and what is wrong with it. */
  readonly why?: string;
}

export type Listener = (state: State) => void;

interface Entry {
  readonly event: Vote;
  readonly text: string;
  listener: Listener | undefined;
  isUnderWay: boolean;
  failures: number;
}

interface Answer {
  readonly status: number;
  readonly retryAfterMs: number;
  readonly verdicts: Verdicts["verdicts"];
  readonly errors: Verdicts["errors"];
  readonly message: string;
}

// Browsers let 64 KiB be under way for pages that are gone; the rest is room for headers and other scripts.
const KEEPALIVE_BYTES = 60_000;
const BATCH_EVENTS = 50;
const MAX_PENDING = 500;
const TIMEOUT_MS = 30_000;
const LONGEST_WAIT_MS = 30_000;
// Beyond it a page is loaded anew sooner than it is let in, and timers do not count to more than 24 days.
const LONGEST_HOLD_MS = 3_600_000;

/** Sends events until each has its verdict. */
export class Outbox {
  readonly #url: string;
  readonly #store: Store;
  readonly #now: () => number;
  readonly #pending = new Map<string, Entry>();
  /** What was given up, by reason. */
  readonly lost: Record<string, number> = {};
  saved = 0;
  #bytesUnderWay = 0;
  #failures = 0;
  #notBefore = 0;
  #timer = 0;
  #timerAt = Infinity;
  #hasWarned = false;

  constructor(collector: string, now: () => number) {
    this.#url = `${collector}v1/votes`;
    this.#store = new Store(collector);
    this.#now = now;
    this.adopt();
  }

  get queued(): number {
    return this.#pending.size;
  }

  /** The latest event of a kind among those without a verdict that `fits`. */
  find(fits: (event: Vote) => boolean, listener: Listener): Vote | undefined {
    const entry = [...this.#pending.values()].filter(({ event }) => fits(event)).pop();
    if (!entry) return undefined;
    const { listener: first } = entry;
    entry.listener = (state) => {
      first?.(state);
      listener(state);
    };
    return entry.event;
  }

  /** Keep an event, and send it within some time; 0 for now. */
  add(event: Vote, withinMs: number, listener?: Listener): void {
    const entry = this.#enter(event, listener);
    this.#store.put(event.event_id, entry.text);
    while (this.#pending.size > MAX_PENDING) this.#giveUpOne();
    listener?.({ eventId: event.event_id, status: "waiting" });
    if (withinMs) this.later(withinMs);
    // What a person does while others wait in line goes ahead of them: the tab may be closed with the same click.
    else if ((this.#failures || this.#pending.size > BATCH_EVENTS) && !this.#holdMs) void this.#send([entry]);
    else this.flush();
  }

  /** Take over what earlier pages and closed tabs left behind. What a living tab sends too lands once. */
  adopt(): void {
    const left = this.#store.all<Vote>().filter((event) => !this.#pending.has(event.event_id));
    for (const event of left) this.#enter(event);
    if (left.length) this.flush();
  }

  /** Send what is not under way, one request after the other, now or as soon as the collector lets us. */
  flush(): void {
    if (this.#holdMs) return this.later(this.#holdMs);
    // After failures in smaller company, until one that nobody answers is alone and holds up no others.
    const { value } = this.#batches(Math.ceil(BATCH_EVENTS / 2 ** this.#failures)).next();
    if (value) void this.#send(value);
  }

  /** The same while the page goes away, all at once. Where too much is under way, the store has it for the next page. */
  leave(): void {
    if ("keepalive" in Request.prototype) {
      for (const batch of this.#batches(BATCH_EVENTS)) if (this.#bytesUnderWay <= KEEPALIVE_BYTES / 2) void this.#send(batch);
      return;
    }
    // Firefox before 133: what is under way ends with the page. A beacon takes the collector's cookies along; it has none.
    for (const entry of this.#pending.values()) entry.isUnderWay = false;
    for (const batch of this.#batches(BATCH_EVENTS)) {
      navigator.sendBeacon?.(this.#url, new Blob([this.#body(batch)], { type: "text/plain" }));
    }
  }

  /** Flush after some time, or earlier where that is planned already. */
  later(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.flush();
    }, ms);
  }

  /** Try at once although earlier tries failed: the network is back, or the person. */
  wake(): void {
    this.#failures = 0;
    this.adopt();
    this.flush();
  }

  /** Milliseconds for which the collector wants to hear nothing. */
  get #holdMs(): number {
    return Math.max(0, this.#notBefore - performance.now());
  }

  #enter(event: Vote, listener?: Listener): Entry {
    const entry = { event, text: JSON.stringify(event), listener, isUnderWay: false, failures: 0 };
    this.#pending.set(event.event_id, entry);
    return entry;
  }

  #giveUpOne(): void {
    const entries = [...this.#pending.values()];
    // What was only noticed goes before what a person said.
    const { event } = entries.find(({ event: { kind } }) => kind === "exposure" || kind === "signal") ?? entries[0]!;
    this.#settle(event.event_id, "refused", "full", "too many votes wait to be sent");
  }

  /** What is not under way, by at most so many events; what failed more often comes later, and apart. */
  *#batches(most: number): Generator<Entry[], undefined> {
    let batch: Entry[] = [];
    let size = 0;
    for (const entry of [...this.#pending.values()].sort((one, other) => one.failures - other.failures)) {
      if (entry.isUnderWay) continue;
      // Three bytes a character is the most that UTF-8 takes of a UTF-16 unit.
      const bytes = entry.text.length * (/^[\0-\x7f]*$/.test(entry.text) ? 1 : 3) + 1;
      const isApart = entry.failures !== batch[0]?.failures || batch.length === most || size + bytes > KEEPALIVE_BYTES / 2;
      if (batch.length && isApart) {
        yield batch;
        batch = [];
        size = 0;
      }
      batch.push(entry);
      size += bytes;
    }
    if (batch.length) yield batch;
  }

  #body(batch: Entry[]): string {
    const sentAt = new Date(this.#now()).toISOString();
    return `{"sent_at":"${sentAt}","events":[${batch.map((entry) => entry.text).join()}]}`;
  }

  async #send(batch: Entry[]): Promise<void> {
    const body = this.#body(batch);
    const size = new Blob([body]).size;
    const keepalive = this.#bytesUnderWay + size <= KEEPALIVE_BYTES;
    if (keepalive) this.#bytesUnderWay += size;
    for (const entry of batch) entry.isUnderWay = true;
    const answer = await this.#post(body, keepalive);
    if (keepalive) this.#bytesUnderWay -= size;
    for (const entry of batch) entry.isUnderWay = false;
    this.#take(batch, answer);
  }

  async #post(body: string, keepalive: boolean): Promise<Answer> {
    let status = 0;
    let retryAfterMs = 0;
    let answer: unknown;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        credentials: "omit",
        // A type that needs no preflight.
        headers: { "Content-Type": "text/plain" },
        body,
        keepalive,
        signal: abort.signal,
      });
      retryAfterMs = Math.min(1000 * Number(response.headers.get("Retry-After")) || 0, LONGEST_HOLD_MS);
      status = response.status;
      answer = await response.json();
    } catch {
      // Not reached, not answered, or not readable from this origin: which of these no browser tells.
    }
    clearTimeout(timer);
    // It may be anybody's: another application's at a wrong address, or that of a network that wants a login.
    const { verdicts, errors, error } = Object(answer);
    return { status, retryAfterMs, verdicts: list(verdicts), errors: list(errors), message: error?.message ?? "" };
  }

  #take(batch: Entry[], { status, retryAfterMs, verdicts, errors, message }: Answer): void {
    // A proxy's own 400 has another body, and says nothing about our events.
    const isBad = status === 413 || (status === 400 && message);
    if (isBad && batch.length > 1) {
      // One of them is too large or broken: each half by itself finds out which.
      const middle = batch.length >> 1;
      void this.#send(batch.slice(0, middle));
      void this.#send(batch.slice(middle));
      return;
    }
    let isLeft = false;
    batch.forEach((entry, index) => {
      const { event } = entry;
      const verdict = isBad ? "rejected" : verdicts[index];
      if (verdict === "accepted" || verdict === "duplicate") this.#settle(event.event_id, "saved");
      else if (verdict === "rejected") {
        const problem = errors.find((error) => error?.index === index)?.problems?.[0];
        this.#settle(event.event_id, "refused", "rejected", problem ? `${problem.field}: ${problem.message}` : message);
      } else {
        entry.failures++;
        isLeft = true;
      }
    });
    if (isLeft) return this.#wait(retryAfterMs, status === 200 && verdicts.length ? "" : `${status || "nothing that this page can read"} ${message}`);
    this.#failures = 0;
    this.flush();
  }

  #wait(retryAfterMs: number, why: string): void {
    // What fails while the next try is planned already says nothing new.
    if (this.#timerAt === Infinity) this.#failures++;
    const backoff = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    if (retryAfterMs) this.#notBefore = performance.now() + retryAfterMs;
    this.later(Math.max(backoff, retryAfterMs));
    if (why && this.#failures > 2 && !this.#hasWarned) {
      this.#hasWarned = true;
      console.warn(
        `thumbline: votes wait; ${this.#url} says: ${why}. Is it up, and is ${origin} in THUMBLINE_ALLOWED_ORIGINS?`,
      );
    }
  }

  #settle(eventId: string, status: "saved" | "refused", reason = "", why = ""): void {
    const entry = this.#pending.get(eventId);
    // Given up while it was under way, or sent twice.
    if (!entry) return;
    this.#pending.delete(eventId);
    this.#store.drop(eventId);
    if (status === "saved") this.saved++;
    else {
      this.lost[reason] = (this.lost[reason] ?? 0) + 1;
      console.warn(`thumbline: not saved: ${why}`);
    }
    entry.listener?.({ eventId, status, ...(why && { why }) });
  }
}

function list(value: unknown): any[] {
  return Array.isArray(value) ? value : [];
}
