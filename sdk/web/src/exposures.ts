/** What is known of one control on the page. Times in milliseconds. */
interface Look {
  shown: boolean;
  seenAt: number;
  visibleSince: number;
  dwell: number;
}

export type Report = (receipt: string, what: "shown" | "seen" | "dwell", dwellMs: number) => void;

// Half of it for a second: the Media Rating Council's definition of a viewable impression (2014).
const SEEN_SHARE = 0.5;
const SEEN_MS = 1000;
const STEPS = Array.from({ length: 21 }, (_, step) => step / 20);

/** Notices when rating controls come into view, are seen, and for how long. */
export class Exposures {
  readonly #report: Report;
  readonly #looks = new Map<string, Look>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** Watch a control until the returned function is called. */
  watch(element: Element, receipt: string): () => void {
    const look = this.#look(receipt);
    let timer = 0;
    const observer = new IntersectionObserver(
      (entries) => {
        const { isIntersecting, intersectionRatio, intersectionRect, rootBounds } = entries[entries.length - 1]!;
        if (isIntersecting && !look.shown) {
          look.shown = true;
          this.#report(receipt, "shown", 0);
        }
        // What is taller than the window can never show half of itself: filling half the window counts as well.
        const fills = rootBounds ? intersectionRect.height / rootBounds.height : 0;
        const isVisible = isIntersecting && !document.hidden && Math.max(intersectionRatio, fills) >= SEEN_SHARE;
        if (!isVisible) {
          clearTimeout(timer);
          this.#pause(look);
        } else if (!look.visibleSince) {
          look.visibleSince = performance.now();
          if (!look.seenAt) timer = setTimeout(() => this.#see(receipt, look), SEEN_MS);
        }
      },
      { threshold: STEPS },
    );
    const resume = () => {
      // A page in the background shows nothing; observing anew reports where the control is now.
      observer.disconnect();
      clearTimeout(timer);
      if (!document.hidden) observer.observe(element);
    };
    document.addEventListener("visibilitychange", resume);
    observer.observe(element);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
      document.removeEventListener("visibilitychange", resume);
      this.#pause(look);
    };
  }

  /** Properties of a vote: how long the control was in view, and how long after it was first seen the vote came. */
  measures(receipt: string): Record<string, number> {
    const look = this.#looks.get(receipt);
    if (!look) return {};
    const now = performance.now();
    const dwell = look.dwell + (look.visibleSince && now - look.visibleSince);
    const start = look.seenAt || look.visibleSince;
    return { dwell_ms: Math.round(dwell), ...(start && { time_to_vote_ms: Math.round(now - start) }) };
  }

  /** Report the dwell of all controls since the last time: the page is hidden or goes away. */
  leave(): void {
    for (const [receipt, look] of this.#looks) {
      this.#pause(look);
      if (look.seenAt && look.dwell) this.#report(receipt, "dwell", look.dwell);
      look.dwell = 0;
    }
  }

  #look(receipt: string): Look {
    let look = this.#looks.get(receipt);
    if (!look) this.#looks.set(receipt, (look = { shown: false, seenAt: 0, visibleSince: 0, dwell: 0 }));
    return look;
  }

  #see(receipt: string, look: Look): void {
    look.seenAt = look.visibleSince;
    this.#report(receipt, "seen", 0);
  }

  #pause(look: Look): void {
    if (look.visibleSince) look.dwell += performance.now() - look.visibleSince;
    look.visibleSince = 0;
  }
}
