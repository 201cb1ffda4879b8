/** The elements: `<thumbline-thumbs>`, `<thumbline-pick>`, `<thumbline-rating>`. Loading this file defines them. */
import { Pick } from "./pick.js";
import { Rating } from "./rating.js";
import { Thumbs } from "./thumbs.js";

for (const [name, element] of Object.entries({ thumbs: Thumbs, pick: Pick, rating: Rating })) {
  // Two copies on a page, or a page loaded twice: the first stays.
  if (!customElements.get(`thumbline-${name}`)) customElements.define(`thumbline-${name}`, element);
}

declare global {
  interface HTMLElementTagNameMap {
    "thumbline-thumbs": Thumbs;
    "thumbline-pick": Pick;
    "thumbline-rating": Rating;
  }
}
