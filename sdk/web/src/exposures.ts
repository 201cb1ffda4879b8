import { readReceipt } from "./receipt.js";

/** What is known of the controls for one thing. Times in milliseconds. */
interface Look {
  /** The latest one: a receipt minted anew is for the same thing. */
  receipt: string;
  shown: boolean;
  seenAt: number;
  visibleSince: number;
  dwell: number;
  /** How many of its controls are in view: a page may have several. */
  inView: number;
  timer: number;
}

export type Report = (receipt: string, what: "shown" | "seen" | "dwell", dwellMs: number) => void;

// Half of it for a second: the Media Rating Council's definition of a viewable impression (2014).
const SEEN_SHARE = 0.5;
const SEEN_MS = 1000;
const STEPS = Array.from({ length: 21 }, (_, step) => step / 20);

/** Notices when rating controls come into view, are seen, and for how long. */
export class Exposures {
  readonly #report: Report;
  /** By the id of the thing. */
  readonly #looks = new Map<string, Look>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** Watch a control until the returned function is called. */
  watch(element: Element, receipt: string): () => void {
    const look = this.#look(receipt);
    let isInView = false;
    const turn = (now: boolean) => {
      if (now === isInView) return;
      isInView = now;
      look.inView += now ? 1 : -1;
      if (!look.inView) this.#pause(look);
      else if (!look.visibleSince) {
        look.visibleSince = performance.now();
        if (!look.seenAt) look.timer = setTimeout(() => this.#see(receipt, look), SEEN_MS);
      }
    };
    const observer = new IntersectionObserver(
      (entries) => {
        const { isIntersecting, intersectionRatio, intersectionRect, rootBounds } = entries[entries.length - 1]!;
        const isShown = isIntersecting && !document.hidden;
        if (isShown && !look.shown) {
          look.shown = true;
          this.#report(receipt, "shown", 0);
        }
        // What is taller than the window can never show half of itself: filling half the window counts as well.
        const fills = rootBounds ? intersectionRect.height / rootBounds.height : 0;
        turn(isShown && Math.max(intersectionRatio, fills) >= SEEN_SHARE);
      },
      { threshold: STEPS },
    );
    const resume = () => {
      // A page in the background shows nothing; observing anew reports where the control is now.
      observer.disconnect();
      turn(false);
      if (!document.hidden) observer.observe(element);
    };
    document.addEventListener("visibilitychange", resume);
    observer.observe(element);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", resume);
      turn(false);
    };
  }

  /** Properties of a vote: how long the control was in view, and how long after it was first seen the vote came. */
  measures(receipt: string): Record<string, number> {
    const look = this.#looks.get(key(receipt));
    if (!look) return {};
    const now = performance.now();
    const dwell = look.dwell + (look.visibleSince && now - look.visibleSince);
    const start = look.seenAt || look.visibleSince;
    return { dwell_ms: Math.round(dwell), ...(start && { time_to_vote_ms: Math.round(now - start) }) };
  }

  /** Report the dwell of all controls since the last time: the page is hidden or goes away. */
  leave(): void {
    for (const look of this.#looks.values()) {
      this.#pause(look);
      if (look.seenAt && look.dwell) this.#report(look.receipt, "dwell", look.dwell);
      look.dwell = 0;
    }
  }

  #look(receipt: string): Look {
    let look = this.#looks.get(key(receipt));
    if (!look) {
      look = { receipt, shown: false, seenAt: 0, visibleSince: 0, dwell: 0, inView: 0, timer: 0 };
      this.#looks.set(key(receipt), look);
    }
    look.receipt = receipt;
    return look;
  }

  #see(receipt: string, look: Look): void {
    look.seenAt = look.visibleSince;
    this.#report(receipt, "seen", 0);
  }

  #pause(look: Look): void {
    clearTimeout(look.timer);
    if (look.visibleSince) look.dwell += performance.now() - look.visibleSince;
    look.visibleSince = 0;
  }
}

function key(receipt: string): string {
  return readReceipt(receipt)?.targetId ?? "";
}
