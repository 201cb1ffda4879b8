import type { Client, Said, State } from "../client.js";
import type { Vote } from "../contract.js";
import { readReceipt } from "../receipt.js";
import type { Claims } from "../receipt.js";
import { h, icon } from "./dom.js";
import { load } from "./loading.js";
import { style } from "./style.js";
import { textsOf } from "./texts.js";
import type { Texts } from "./texts.js";

// A vote is on disk within some milliseconds: until then "not sent" would only flicker.
const PATIENCE_MS = 1000;

/**
 * What all elements share: the receipt, the client, the line that says where the vote is.
 *
 * Attributes: `receipt`; `collector` where it is not the script's; `texts` (JSON); `lang` on it or around it;
 * `dismissible`. Events, which bubble: `thumbline-vote` with what was said, `thumbline-state` with where it is,
 * `thumbline-dismiss`.
 */
export abstract class Rated extends HTMLElement {
  static observedAttributes = ["receipt", "lang", "texts", "value", "busy"];

  protected claims: Claims | null = null;
  /** Not called `texts`: frameworks set a property rather than the attribute where an element has one of that name. */
  protected words!: Texts & Record<string, string>;
  readonly #root = this.attachShadow({ mode: "open" });
  /** Whether `value` tells the vote in force; else what was said here does. */
  #isNew = true;
  #client: Client | undefined;
  #status: HTMLElement | undefined;
  #unwatch: (() => void) | undefined;
  #latest = 0;
  #timer = 0;

  /** The element's own controls. */
  protected abstract controls(): Node[];

  /** The vote in force as the attribute `value` tells it; empty for none. */
  protected abstract take(value: string): void;

  /** What was said before and still waits to be sent, from before a reload too. */
  protected abstract restore(vote: Vote): void;

  /** The kind of event that `restore` takes. */
  protected abstract readonly kind: Vote["kind"];

  connectedCallback(): void {
    guard(() => this.#render());
  }

  disconnectedCallback(): void {
    this.#unwatch?.();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after) return;
    this.#isNew ||= name === "value";
    if (!this.isConnected) return;
    guard(() => (this.claims && (name === "busy" || name === "value") ? this.#refresh() : this.#render(name === "receipt")));
  }

  /** Bring what is shown in line with what is known. */
  protected abstract update(): void;

  /** Hide the control, and report that the person did not want it. */
  dismiss(): void {
    if (this.claims?.kinds.includes("exposure")) this.#tell({ kind: "exposure", state: "dismissed" });
    this.hidden = true;
    this.#emit("thumbline-dismiss", {});
  }

  /** Send what the person said, and show where it is. */
  protected say(said: Said): void {
    const turn = ++this.#latest;
    this.#show("waiting");
    this.#tell(said, (state) => {
      this.#emit("thumbline-state", state);
      if (turn === this.#latest) this.#show(state.status, state.why);
    });
  }

  #tell(said: Said, listener?: (state: State) => void): void {
    const receipt = this.getAttribute("receipt")!;
    const send = (client: Client) => {
      const eventId = client.send(receipt, said, listener);
      if (listener) this.#emit("thumbline-vote", { ...said, event_id: eventId });
    };
    // At once where that is possible: the tab may be closed with the same click.
    if (this.#client) send(this.#client);
    else this.#load().then(send, () => this.#show("refused"));
  }

  #load(): Promise<Client> {
    return load(this.getAttribute("collector")).then((client) => (this.#client = client));
  }

  #refresh(): void {
    if (this.#isNew) this.take(this.getAttribute("value") ?? "");
    this.#isNew = false;
    this.update();
  }

  #render(isReceipt = false): void {
    this.#unwatch?.();
    this.#root.adoptedStyleSheets = [style()];
    const receipt = this.getAttribute("receipt") ?? "";
    const before = this.claims;
    this.claims = readReceipt(receipt);
    // A receipt minted anew for the same thing changes nothing that was said, or is being written.
    if (isReceipt && before && about(before) === about(this.claims)) return this.#attach(receipt);
    if (this.claims?.targetId !== before?.targetId) {
      this.#isNew = true;
      this.#latest++;
    }
    // Without a receipt no vote could be saved: a control would be a lie.
    if (!this.claims) {
      if (receipt) console.warn("thumbline: receipt: is not what tl.receipt returned");
      return this.#root.replaceChildren();
    }
    this.words = textsOf(this);
    this.#status = h("small", { part: "status", role: "status" });
    const close = h("button", {
      class: "icon x",
      part: "dismiss",
      type: "button",
      "aria-label": this.words.close,
      hidden: !this.hasAttribute("dismissible"),
      onclick: () => guard(() => this.dismiss()),
    }, icon("M6 6l12 12M18 6L6 18"));
    this.#root.replaceChildren(...this.controls(), this.#status, close);
    this.#refresh();
    this.#attach(receipt);
  }

  #attach(receipt: string): void {
    const turn = this.#latest;
    this.#load().then((client) => {
      if (this.isConnected && receipt === this.getAttribute("receipt")) this.#begin(client, receipt, turn);
    }).catch(() => {});
  }

  #begin(client: Client, receipt: string, turn: number): void {
    this.#unwatch?.();
    this.#unwatch = client.watch(this, receipt);
    // Said while the client was loading: that is later than all that waits.
    if (turn !== this.#latest) return;
    const vote = client.waiting(receipt, this.kind, (state) => {
      if (turn === this.#latest) this.#show(state.status, state.why);
    });
    if (!vote) return;
    this.restore(vote);
    this.update();
    this.#show("waiting");
  }

  #show(status: State["status"], why = ""): void {
    const line = this.#status!;
    clearTimeout(this.#timer);
    const write = () => {
      line.textContent = this.words[status];
      line.title = why;
    };
    if (status !== "waiting") return write();
    line.textContent = "";
    this.#timer = setTimeout(write, PATIENCE_MS);
  }

  #emit(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** All that a receipt says but for how long it holds. */
function about(claims: Claims | null): string {
  return JSON.stringify({ ...claims, expiresAt: 0 });
}

/** Run, and warn where it would throw into the page. */
export function guard(action: () => void): void {
  try {
    action();
  } catch (error) {
    console.warn("thumbline:", error);
  }
}

/** A button with a text, or with a drawing that has the text as its name. */
export function button(label: string, onclick: () => void, attributes: Record<string, unknown> = {}, ...inside: Node[]): HTMLButtonElement {
  const said = inside.length ? { "aria-label": label, title: label } : {};
  return h("button", { type: "button", ...said, onclick: () => guard(onclick), ...attributes }, ...(inside.length ? inside : [label]));
}
