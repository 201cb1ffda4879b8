/**
 * thumbline's browser client: sends what people say about answers, each vote with the receipt that the back end
 * minted for the answer. Its one name on `window`, where it is loaded as a script, is `thumbline`.
 */
import { createClient } from "./client.js";
import type { Client, Options } from "./client.js";
import { here } from "./here.js";

const clients: Record<string, Client> = {};

/** The client of a collector, one for each however often it is asked for. */
export function connect(options: Options = {}): Client {
  const collector = base(options.collector || here());
  return (clients[collector] ??= createClient(collector, options));
}

function base(text: string): string {
  try {
    const url = new URL(text, location.href);
    return url.origin + url.pathname.replace(/\/*$/, "/");
  } catch {
    console.warn(`thumbline: collector: '${text}' is no URL`);
    return `${location.origin}/`;
  }
}

export { readReceipt } from "./receipt.js";
export type { Claims } from "./receipt.js";
export type { Client, Listener, Options, Said, State, Stats } from "./client.js";
export type * from "./contract.js";
