// The elements in React: attributes as props, events as on-props, both as for any other element.
import { createElement as h, useState } from "react";
import { createRoot } from "react-dom/client";

function Answer({ receipt, pair }) {
  const [heard, setHeard] = useState("nothing");
  const hear = ({ detail }) => setHeard(`${detail.kind} ${detail.value ?? detail.outcome}`);
  return h("div", null,
    h("thumbline-thumbs", { receipt, "onthumbline-vote": hear }),
    h("thumbline-pick", { receipt: pair.receipt, scale: 5, "onthumbline-vote": hear },
      pair.order.map((id) => h("p", { key: id, slot: id }, `Answer ${id}`))),
    h("output", null, heard));
}

const data = JSON.parse(document.querySelector("#data").textContent);
createRoot(document.querySelector("#app")).render(h(Answer, data));
