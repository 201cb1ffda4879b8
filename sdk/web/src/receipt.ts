/** What a receipt says; see docs/receipts.md for its format. */
export interface Claims {
  /** What may be voted on. */
  targetType: "completion" | "comparison" | "conversation";
  targetId: string;
  /** Kinds of events that it allows. */
  kinds: string[];
  /** Ids of a comparison's answers in the order to show; empty for other things. */
  order: string[];
  /** Unix time in seconds. */
  expiresAt: number;
}

/**
 * The claims of a receipt, or null where it is none. A page can read them, and cannot change them: whether
 * the signature fits is for the collector to say.
 */
export function readReceipt(receipt: string): Claims | null {
  try {
    const text = atob(receipt.split(".")[2]!.replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    return { targetType: claims.t, targetId: claims.i, kinds: claims.k, order: claims.o || [], expiresAt: claims.x };
  } catch {
    return null;
  }
}
