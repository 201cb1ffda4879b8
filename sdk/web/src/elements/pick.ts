import type { PickVote, Vote } from "../contract.js";
import { Rated, button } from "./base.js";
import { h } from "./dom.js";
import { filled } from "./texts.js";

type Outcome = PickVote["outcome"];

/**
 * Which of 2..N answers is better. The answers are children, each with the answer's id as `slot`; they stand in the
 * order of the receipt, and may still be streaming. A second click takes the pick back.
 *
 *     <thumbline-pick receipt="tlr1...">
 *       <div slot="answer-1">...</div>
 *       <div slot="answer-2">...</div>
 *     </thumbline-pick>
 *
 * Attributes beside the common ones: `stacked`, `busy` (answers are being written: no pick yet), `scale` (5 or 8 points:
 * asks how much better), `value` (id of the answer picked, or an outcome).
 */
export class Pick extends Rated {
  protected readonly kind = "pick";
  #outcome: Outcome = "retracted";
  #winner = "";
  #strength = 0;
  #choices: [HTMLButtonElement, Outcome, string][] = [];
  #sections = new Map<string, HTMLElement>();
  #levels!: HTMLFieldSetElement;
  #busy!: HTMLElement;

  protected controls(): Node[] {
    const { words: texts } = this;
    const order = this.claims!.order;
    this.#choices = [];
    this.#sections = new Map(order.map((id, place) => [id, this.#section(id, place + 1)]));
    const others = (["tie", "both_bad", "skip"] as const).map((outcome) => {
      const label = outcome === "both_bad" && order.length > 2 ? texts.all_bad : texts[outcome];
      return this.#choice(label, outcome, "", outcome);
    });
    this.#levels = this.#levelsField();
    this.#busy = h("small", {}, texts.busy);
    return [
      h("div", { role: "group", "aria-label": texts.compare },
        h("div", { class: "legend", part: "title" }, texts.compare),
        h("div", { class: "answers" }, ...this.#sections.values()),
        h("div", { class: "row" }, ...others, this.#busy),
        this.#levels),
    ];
  }

  protected take(value: string): void {
    const isOutcome = ["tie", "both_bad", "skip"].includes(value);
    this.#winner = this.claims!.order.includes(value) ? value : "";
    this.#outcome = this.#winner ? "winner" : isOutcome ? (value as Outcome) : "retracted";
    this.#strength = 0;
  }

  protected restore(vote: Vote): void {
    const { outcome, winner_id, strength } = vote as PickVote;
    this.#outcome = outcome;
    this.#winner = winner_id ?? "";
    this.#strength = strength ?? 0;
  }

  protected override update(): void {
    const isBusy = this.hasAttribute("busy");
    this.#busy.hidden = !isBusy;
    for (const [choice, outcome, id] of this.#choices) {
      choice.ariaPressed = `${this.#outcome === outcome && this.#winner === id}`;
      choice.ariaDisabled = `${isBusy}`;
    }
    for (const [id, section] of this.#sections) {
      section.classList.toggle("won", id === this.#winner);
      section.part.toggle("winner", id === this.#winner);
    }
    this.#levels.hidden = !this.#winner || !this.#scale;
    for (const level of this.#levels.querySelectorAll("input")) level.checked = Number(level.value) === this.#strength;
  }

  get #scale(): 5 | 8 | 0 {
    const scale = Number(this.getAttribute("scale"));
    return scale === 5 || scale === 8 ? scale : 0;
  }

  #section(id: string, n: number): HTMLElement {
    const label = filled(this.words.answer, n);
    return h("article", { part: "answer", "aria-label": label },
      h("div", {}, h("slot", { name: id })),
      this.#choice(filled(this.words.better, n), "winner", id, "better"));
  }

  #choice(label: string, outcome: Outcome, id: string, part: string): HTMLButtonElement {
    const choice = button(label, () => this.#pick(outcome, id), { part });
    this.#choices.push([choice, outcome, id]);
    return choice;
  }

  #pick(outcome: Outcome, id: string): void {
    if (this.hasAttribute("busy")) return;
    const isSame = this.#outcome === outcome && this.#winner === id;
    this.#outcome = isSame ? "retracted" : outcome;
    this.#winner = isSame ? "" : id;
    this.#strength = 0;
    this.#send();
  }

  #send(): void {
    this.update();
    this.say({
      kind: "pick",
      outcome: this.#outcome,
      ...(this.#winner && { winner_id: this.#winner }),
      ...(this.#strength && this.#scale && { strength: this.#strength, scale: this.#scale }),
    });
  }

  // Points count towards the winner: of 5 the upper two, of 8 the upper four.
  #levelsField(): HTMLFieldSetElement {
    const { words: texts } = this;
    const levels: [number, string][] = this.#scale === 5
      ? [[4, texts.strength_1], [5, texts.strength_3]]
      : [[5, texts.strength_1], [6, texts.strength_2], [7, texts.strength_3], [8, texts.strength_4]];
    const choose = (strength: number) => {
      this.#strength = strength;
      this.#send();
    };
    const radios = levels.map(([strength, label]) =>
      h("label", { part: "strength" }, h("input", { type: "radio", name: "strength", value: `${strength}`, onchange: () => choose(strength) }), label));
    return h("fieldset", { class: "levels", part: "strengths" }, h("legend", {}, texts.strength), h("div", { class: "row" }, ...radios));
  }
}
