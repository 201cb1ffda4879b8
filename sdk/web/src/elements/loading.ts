import type { Client } from "../client.js";
import { beside, here } from "../here.js";

type Library = typeof import("../index.js");

let loading: Promise<Library> | undefined;

/** The client of a collector: that of the page where it has one, else loaded from beside this file. */
export function load(collector: string | null): Promise<Client> {
  const own = (globalThis as { thumbline?: Library }).thumbline;
  loading ??= own?.connect ? Promise.resolve(own) : import(/* @vite-ignore */ beside("thumbline.mjs"));
  loading.catch(() => (loading = undefined));
  return loading.then(({ connect }) => connect({ collector: collector || here() }));
}
