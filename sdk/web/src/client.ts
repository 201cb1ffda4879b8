import type { Vote } from "./contract.js";
import { Exposures } from "./exposures.js";
import { uuid7 } from "./ids.js";
import { Outbox } from "./outbox.js";
import type { Listener, State } from "./outbox.js";
import { readReceipt } from "./receipt.js";
import { SDK } from "./version.js";

/** What a page says: the contract's fields without those that the client fills in itself. */
export type Said = Vote extends infer One ? (One extends Vote ? Omit<One, FilledIn> : never) : never;
type FilledIn = "event_id" | "occurred_at" | "receipt" | "sdk" | "sequence";

export interface Options {
  /** Base URL of the collector; that of the script when left out. */
  collector?: string;
  /** Where in the product, e.g. `web`. */
  surface?: string;
  /** The product's release. */
  appVersion?: string;
}

export interface Stats {
  /** Events without a verdict. */
  queued: number;
  /** Events that are on the collector's disk. */
  saved: number;
  /** Events that were given up: `rejected` by the collector, or the queue was `full`. */
  lost: Record<string, number>;
}

/** Sends votes to one collector. No method throws. */
export interface Client {
  /**
   * Send an event with a receipt; its id. `listener` hears where it is: `waiting` at once, later `saved` or `refused`.
   *
   *     client.send(receipt, { kind: "thumb", value: "down", tags: ["wrong"] }, ({ status }) => show(status))
   */
  send(receipt: string, said: Said, listener?: Listener): string;
  /** Report when a rating control is shown and seen, until the returned function is called. */
  watch(element: Element, receipt: string): () => void;
  /** The latest event of this kind on the receipt's thing that still waits for its verdict, from before a reload too. */
  waiting(receipt: string, kind: Vote["kind"], listener: Listener): Vote | undefined;
  /** Send what is queued without waiting for its turn. */
  flush(): void;
  stats(): Stats;
}

// Milliseconds between what is noticed and its sending; what a person says is sent at once.
const LAZY_MS = 2000;

/** A client; `connect` gives one per collector. */
export function createClient(collector: string, options: Options): Client {
  const clock = () => performance.timeOrigin + performance.now();
  const outbox = new Outbox(collector, clock);
  let sequence = 0;

  const record = (receipt: string, said: Said, listener?: Listener): string => {
    const isNoticed = said.kind === "exposure" || said.kind === "signal";
    const now = clock();
    const event = {
      event_id: uuid7(now),
      occurred_at: new Date(now).toISOString(),
      sequence: sequence++,
      receipt,
      sdk: SDK,
      ...(options.surface && { surface: options.surface }),
      ...(options.appVersion && { app_version: options.appVersion }),
      ...said,
    } as Vote;
    if (!isNoticed) event.properties = { ...exposures.measures(receipt), ...said.properties };
    outbox.add(event, isNoticed ? LAZY_MS : 0, listener && guarded(listener));
    return event.event_id;
  };

  const exposures = new Exposures((receipt, what, dwellMs) => {
    const kinds = readReceipt(receipt)?.kinds ?? [];
    if (what === "dwell") {
      if (kinds.includes("signal")) record(receipt, { kind: "signal", name: "dwell", value: Math.round(dwellMs) / 1000 });
    } else if (kinds.includes("exposure")) record(receipt, { kind: "exposure", state: what });
  });

  const on = (target: EventTarget, name: string, action: (event: Event) => void) =>
    target.addEventListener(name, guarded(action));
  on(window, "online", () => outbox.wake());
  on(window, "pageshow", (event) => (event as PageTransitionEvent).persisted && outbox.wake());
  on(window, "pagehide", () => {
    exposures.leave();
    outbox.leave();
  });
  on(document, "visibilitychange", () => {
    if (!document.hidden) return outbox.wake();
    exposures.leave();
    outbox.flush();
  });

  return {
    send: guarded(record, ""),
    watch: guarded((element, receipt) => exposures.watch(element, receipt), () => {}),
    waiting: guarded((receipt, kind, listener) => {
      const target = readReceipt(receipt)?.targetId;
      return outbox.find((event) => event.kind === kind && readReceipt(event.receipt)?.targetId === target, guarded(listener));
    }, undefined),
    flush: guarded(() => outbox.wake()),
    stats: () => ({ queued: outbox.queued, saved: outbox.saved, lost: { ...outbox.lost } }),
  };
}

/** The same function, which warns where it would throw: a vote never breaks the page that it is given on. */
export function guarded<Arguments extends unknown[], Result>(
  action: (...args: Arguments) => Result,
  otherwise?: Result,
): (...args: Arguments) => Result {
  return (...args) => {
    try {
      return action(...args);
    } catch (error) {
      console.warn("thumbline:", error);
      return otherwise as Result;
    }
  };
}

export type { Listener, State };
