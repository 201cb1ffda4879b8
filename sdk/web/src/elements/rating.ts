import type { RatingVote, Vote } from "../contract.js";
import { Rated, button } from "./base.js";
import { h, icon } from "./dom.js";
import { filled } from "./texts.js";

const STAR = "M12 3l2.7 5.8 6.3.8-4.6 4.4 1.2 6.3-5.6-3.1-5.6 3.1 1.2-6.300L3 9.6l6.3-.8z";

/**
 * A score of an answer or of a conversation, whichever the receipt is for: stars, or numbers on a stated scale.
 *
 * Attributes beside the common ones: `min` (1), `max` (5), `numbers` (in place of stars), `low` and `high` (what the
 * ends of the scale mean), `value` (the score that is in force).
 */
export class Rating extends Rated {
  protected readonly kind = "rating";
  #score = NaN;
  #labels: HTMLLabelElement[] = [];
  #clear!: HTMLButtonElement;

  protected controls(): Node[] {
    const { words: texts } = this;
    const min = this.#number("min", 1);
    const max = this.#number("max", 5);
    const isNumbers = this.hasAttribute("numbers");
    // Shown in part it would be answered wrongly.
    if (min % 1 || max % 1 || max <= min || max - min > 20) throw new Error("min, max: 2 to 21 whole numbers");
    this.#labels = Array.from({ length: max - min + 1 }, (_, place) => {
      const score = min + place;
      const name = filled(texts.score, score, max);
      const radio = h("input", { type: "radio", name: "score", value: `${score}`, "aria-label": name, onchange: () => this.#rate(score) });
      return h("label", { title: name, part: "score" }, radio, isNumbers ? `${score}` : icon(STAR));
    });
    this.#clear = button(texts.clear, () => this.#rate(null), { part: "clear" });
    const [low, high] = ["low", "high"].map((end) => h("span", { part: end }, this.getAttribute(end) ?? ""));
    return [
      h("fieldset", { class: isNumbers ? "" : "stars" },
        h("legend", { part: "title" }, this.getAttribute("label") ?? texts.rating),
        h("div", { class: "row" }, low, ...this.#labels, high, this.#clear)),
    ];
  }

  protected take(): void {
    this.#score = this.#number("value", NaN);
  }

  protected restore(vote: Vote): void {
    this.#score = (vote as RatingVote).score ?? NaN;
  }

  protected override update(): void {
    const isStars = !this.hasAttribute("numbers");
    for (const label of this.#labels) {
      const radio = label.firstChild as HTMLInputElement;
      radio.checked = Number(radio.value) === this.#score;
      label.classList.toggle("on", isStars && Number(radio.value) <= this.#score);
    }
    this.#clear.hidden = isNaN(this.#score);
  }

  #rate(score: number | null): void {
    this.#score = score ?? NaN;
    this.update();
    if (score === null) (this.#labels[0]!.firstChild as HTMLElement).focus();
    this.say({ kind: "rating", score, scale_min: this.#number("min", 1), scale_max: this.#number("max", 5) });
  }

  #number(name: string, otherwise: number): number {
    const text = this.getAttribute(name);
    return text && !isNaN(Number(text)) ? Number(text) : otherwise;
  }
}
