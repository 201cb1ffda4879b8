import type { ThumbVote, Vote } from "../contract.js";
import { Rated, button } from "./base.js";
import { h, icon } from "./dom.js";

const THUMB = "M7 11v9H3v-9zl4-8c1.7 0 2.6 1.2 2.2 3l-.8 3H19a2 2 0 0 1 2 2.3l-1.2 7A2 2 0 0 1 18 20H7";
const PEN = "M4 20l1-4L16 5l3 3L8 19z";
const TAGS = "wrong,unhelpful,too_long,unsafe";

/**
 * Thumbs up and down on one answer; a second click takes the vote back. After a thumbs down: reasons and a comment.
 *
 * Attributes beside the common ones: `value` (`up` or `down`: the vote that is in force), `tags` (names, separated by
 * commas; their texts are in `texts`), `for` (id of the element with the answer's text: with a receipt that allows
 * `edit` it can then be improved).
 */
export class Thumbs extends Rated {
  protected readonly kind = "thumb";
  #value: ThumbVote["value"] = "retracted";
  #up!: HTMLButtonElement;
  #down!: HTMLButtonElement;
  #reasons!: HTMLElement;
  #editor!: HTMLElement;

  protected controls(): Node[] {
    const { words: texts } = this;
    this.#up = button(texts.up, () => this.#vote("up"), { class: "icon", part: "up" }, icon(THUMB));
    this.#down = button(texts.down, () => this.#vote("down"), { class: "icon flip", part: "down" }, icon(THUMB));
    this.#reasons = this.#reasonsPanel();
    this.#editor = this.#editPanel();
    const pen = button(texts.edit, () => this.#toggleEditor(), { class: "icon", part: "edit", hidden: !this.#answer() }, icon(PEN));
    const row = h("div", { class: "row", role: "group", "aria-label": texts.rate }, this.#up, this.#down, pen);
    return [row, this.#reasons, this.#editor];
  }

  protected take(value: string): void {
    this.#value = value === "up" || value === "down" ? value : "retracted";
  }

  protected restore(vote: Vote): void {
    this.#value = (vote as ThumbVote).value;
  }

  protected override update(): void {
    this.#up.ariaPressed = `${this.#value === "up"}`;
    this.#down.ariaPressed = `${this.#value === "down"}`;
    if (this.#value !== "down") this.#reasons.hidden = true;
  }

  #vote(value: "up" | "down"): void {
    this.#value = this.#value === value ? "retracted" : value;
    this.#reasons.hidden = this.#value !== "down";
    this.#editor.hidden = true;
    this.update();
    this.say({ kind: "thumb", value: this.#value });
  }

  #reasonsPanel(): HTMLElement {
    const { words: texts } = this;
    const chips = (this.getAttribute("tags") ?? TAGS).split(",").map((tag) => tag.trim()).filter(Boolean).map((tag) => {
      const box = h("input", { type: "checkbox", value: tag });
      return h("label", { part: "tag" }, box, texts[tag] ?? tag);
    });
    const boxes = chips.map((chip) => chip.firstChild as HTMLInputElement);
    const comment = h("textarea", { part: "comment", maxLength: 10000, "aria-label": texts.comment, placeholder: texts.comment });
    return this.#panel("reasons", comment, () => {
      const tags = boxes.filter((box) => box.checked).map((box) => box.value);
      const text = comment.value.trim();
      if (tags.length || text) this.say({ kind: "thumb", value: "down", tags, ...(text && { comment: text }) });
    }, h("fieldset", {}, h("legend", {}, texts.why), h("div", { class: "row" }, ...chips)));
  }

  #editPanel(): HTMLElement {
    const text = h("textarea", { part: "text", "aria-label": this.words.edit, rows: 8 });
    return this.#panel("editor", text, () => {
      const content = text.value;
      if (content.trim() && content !== this.#answer()) this.say({ kind: "edit", response: { role: "assistant", content } });
    });
  }

  #panel(part: string, text: HTMLTextAreaElement, send: () => void, ...before: Node[]): HTMLElement {
    const done = (isSent: boolean) => {
      panel.hidden = true;
      if (isSent) send();
      (part === "editor" ? this.#up : this.#down).focus();
    };
    const { words: texts } = this;
    const buttons = h("div", { class: "row" },
      button(texts.send, () => done(true), { part: "send" }),
      button(texts.close, () => done(false), { part: "close" }));
    const panel = h("div", { class: "panel", part, hidden: true }, ...before, text, buttons);
    panel.onkeydown = ({ key }) => {
      if (key === "Escape") done(false);
    };
    return panel;
  }

  #toggleEditor(): void {
    this.#reasons.hidden = true;
    this.#editor.hidden = !this.#editor.hidden;
    const text = this.#editor.querySelector("textarea")!;
    text.value = this.#answer();
    if (!this.#editor.hidden) text.focus();
  }

  #answer(): string {
    const id = this.getAttribute("for");
    const shown = id && (this.getRootNode() as Document).getElementById(id);
    return shown && this.claims!.kinds.includes("edit") ? shown.innerText : "";
  }
}
