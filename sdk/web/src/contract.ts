// Generated from schemas/openapi.v1.json by `npm run types`; not edited by hand.

export type Vote = ThumbVote | PickVote | RatingVote | RankingVote | EditVote | MarkVote | ExposureVote | SignalVote;
export type JsonValue = unknown;

/**
 * Thumbs up or down on one answer, or the vote taken back. As a page sends it.
 */
export interface ThumbVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  comment?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "thumb";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
  /**
   * Reasons, e.g. `["wrong", "too_long"]`.
   */
  tags?: string[];
  /**
   * `retracted` takes the vote back: it is then neither a negative nor a row in an export.
   */
  value: "up" | "down" | "retracted";
}
/**
 * One of a comparison, or that none was better. As a page sends it.
 */
export interface PickVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  comment?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "pick";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * `tie` and `both_bad` stay different to the end; `skip` is no opinion; `retracted` takes the pick back.
   */
  outcome: "winner" | "tie" | "both_bad" | "skip" | "retracted";
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  /**
   * Number of points; set if and only if `strength` is.
   */
  scale?: (5 | 8) | null;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * Point on the scale, counted towards the winner: 5 of 5 is much better, 4 of 5 slightly better, 3 of 5
   * no difference. The 8-point scale has no middle: 5 (slightly) to 8 (much better).
   */
  strength?: number | null;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
  tags?: string[];
  /**
   * The answer picked; set if and only if the outcome is `winner`.
   */
  winner_id?: string | null;
}
/**
 * A score on a stated scale, of an answer or of a whole conversation. As a page sends it.
 */
export interface RatingVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  comment?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "rating";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  scale_max?: number;
  scale_min?: number;
  /**
   * The score; null takes the rating back.
   */
  score: number | null;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
  tags?: string[];
}
/**
 * An order, with ties, of the answers of a comparison. As a page sends it.
 */
export interface RankingVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  comment?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "ranking";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * Groups of answer ids, best first; answers in one group are tied. An empty list takes the ranking back.
   */
  ranks: string[][];
  /**
   * From Client.receipt.
   */
  receipt: string;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
}
/**
 * The rater's own version of the answer; gives a pair, edited over original. As a page sends it.
 */
export interface EditVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  comment?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "edit";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  response: Message;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
}
/**
 * One chat message in the OpenAI chat shape; fields beside these are kept unchanged.
 *
 *     {"role": "user", "content": "Hi"}
 *     {"role": "user", "content": [{"type": "text", "text": "What is this?"},
 *                                  {"type": "image_url", "image_url": {"url": "https://..."}}]}
 *     {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {...}}]}
 *     {"role": "tool", "tool_call_id": "c1", "content": "21 degrees"}
 */
export interface Message {
  /**
   * Text, a list of parts, or null where the message is only tool calls.
   */
  content?: string | ContentPart[] | null;
  role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  [k: string]: unknown;
}
/**
 * One part of a message that is not plain text only, as in the OpenAI chat format.
 */
export interface ContentPart {
  /**
   * `text`, `image_url`, `input_audio`, `file` ...; the part's own fields are kept unchanged.
   */
  type: string;
  [k: string]: unknown;
}
/**
 * A span of the answer, with a reason. As a page sends it.
 */
export interface MarkVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  comment?: string | null;
  /**
   * One past its last character.
   */
  end: number;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "mark";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * First character of the span, counted in Unicode code points from 0.
   */
  start: number;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
  tags?: string[];
  /**
   * SHA-256 of the answer's text in UTF-8: tells whether the offsets still fit.
   */
  text_sha256: string;
}
/**
 * The rating control was shown, seen or dismissed: the denominator of a response rate. As a page sends it.
 */
export interface ExposureVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "exposure";
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  state?: "shown" | "seen" | "dismissed";
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
}
/**
 * Something implicit: copy, regenerate, share, abandon ...; never summed with thumbs. As a page sends it.
 */
export interface SignalVote {
  /**
   * The product's release.
   */
  app_version?: string | null;
  /**
   * UUID, minted by the client (version 7); the key for de-duplication, without a time limit.
   */
  event_id: string;
  kind: "signal";
  /**
   * Lower case with underscores, e.g. `copy`, `regenerate`, `share`, `abandon`, `continue`.
   */
  name: string;
  /**
   * When it happened, by the client's clock: ISO 8601 with an offset. Stored in UTC.
   */
  occurred_at: string;
  /**
   * Anything else that the host wants to keep.
   */
  properties?: {
    [k: string]: JsonValue;
  };
  /**
   * From Client.receipt.
   */
  receipt: string;
  /**
   * Client library and version, e.g. `thumbline-python/0.1.0`.
   */
  sdk?: string | null;
  /**
   * The client's own counter; orders events of one client that share a time.
   */
  sequence?: number | null;
  /**
   * Where in the product, e.g. `web`, `ios`, `slack`.
   */
  surface?: string | null;
  /**
   * A number that goes with it, e.g. seconds of dwell.
   */
  value?: number | null;
}
export interface Verdicts {
  accepted: number;
  duplicate: number;
  errors: {
    event_id: string | null;
    index: number;
    problems: {
      allowed?: unknown[];
      field: string;
      message: string;
    }[];
  }[];
  rejected: number;
  retry: number;
  verdicts: ("accepted" | "duplicate" | "rejected" | "retry")[];
}
