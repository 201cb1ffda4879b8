// The chat's page: asks, shows what streams in, and leaves the votes to thumbline's elements.
import { follow } from "./follow.js";

const find = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const turns = find("turns");
const send = find("ask").querySelector("[type=submit]");
// The answer that the conversation goes on from; null begins a new one.
let parent = null;
// Ends what is being written; null while nothing is. Send is then `aria-disabled`: `disabled` would lose the focus.
let writing = null;

find("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("text").value.trim();
  if (!text || writing) return;
  find("text").value = "";
  turns.append(make("div", { class: "mine" }, text));
  void stream("/ask", { text, parent, share: Number(find("share").value) });
});
find("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  find("ask").requestSubmit();
});
for (const button of document.querySelectorAll(".try")) {
  button.addEventListener("click", () => {
    if (writing) return;
    find("text").value = button.textContent;
    find("ask").requestSubmit();
  });
}
find("new").addEventListener("click", () => {
  writing?.abort();
  parent = null;
  turns.replaceChildren();
  find("conversation").replaceChildren();
  find("text").focus();
});

async function stream(url, body) {
  const own = (writing = new AbortController());
  send.ariaDisabled = "true";
  find("problem").textContent = "";
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: own.signal,
    });
    if (!response.ok) throw new Error(`the chat answered ${response.status}; load the page again`);
    await show(response.body);
  } catch (error) {
    if (!own.signal.aborted) find("problem").textContent = `That did not work: ${error.message}`;
  }
  writing = null;
  send.ariaDisabled = "false";
}

// One JSON object a line, as answering.py makes them.
async function show(body) {
  const view = { texts: {} };
  let rest = "";
  for await (const piece of readable(body)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) take(JSON.parse(line), view);
  }
}

async function* readable(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

function take(event, view) {
  if (event.type === "answer") beginAnswer(event, view);
  else if (event.type === "pair") beginPair(event, view);
  else if (event.type === "text") view.texts[event.id].append(event.text);
  else finish(event, view);
}

function beginAnswer({ id }, view) {
  const text = make("div", { class: "text", id: `text-${id}` });
  view.texts[id] = text;
  view.block = make("article", { class: "answer", "aria-busy": "true", "aria-label": "Answer" }, text);
  turns.append(view.block);
  view.block.scrollIntoView({ block: "nearest" });
}

function beginPair({ id, order, receipt }, view) {
  const answers = order.map((own) => (view.texts[own] = make("div", { slot: own })));
  const pick = make("thumbline-pick", { receipt, busy: "", scale: "5" }, ...answers);
  const note = make("p", { class: "goes-on", role: "status" });
  view.pick = pick;
  view.block = make("article", { class: "answer", "aria-label": "Two answers", id: `pair-${id}` }, pick, note);
  turns.append(view.block);
  view.block.scrollIntoView({ block: "nearest" });
  view.goOn = (own, why) => {
    parent = own;
    note.textContent = `The conversation goes on with answer ${order.indexOf(own) + 1}${why}.`;
  };
  pick.addEventListener("thumbline-vote", ({ detail }) => {
    // Only the last turn decides what comes next; an opinion on an earlier one may still change.
    if (turns.lastElementChild !== view.block) return;
    if (detail.winner_id) view.goOn(detail.winner_id, ", as you chose");
    else view.goOn(order[0], "; pick one to go on with that");
  });
}

function finish({ id, receipt, conversation }, view) {
  view.block.setAttribute("aria-busy", "false");
  if (view.pick) {
    view.pick.removeAttribute("busy");
    view.goOn(Object.keys(view.texts)[0], "; pick one to go on with that");
  } else {
    parent = id;
    view.block.append(controls(id, receipt, view.texts[id]));
  }
  const rating = find("conversation").firstElementChild;
  if (rating) rating.setAttribute("receipt", conversation);
  else if (turns.querySelectorAll(".answer").length > 1) find("conversation").append(conversationRating(conversation));
  view.block.scrollIntoView({ block: "nearest" });
}

function conversationRating(receipt) {
  return make("thumbline-rating", { receipt, label: "How is this conversation so far?", dismissible: "" });
}

// Thumbs, and what people do with an answer: each a signal under the same receipt.
function controls(id, receipt, text) {
  const thumbs = make("thumbline-thumbs", { receipt, for: text.id });
  const signal = async (name) => (await client()).send(receipt, { kind: "signal", name });
  const button = (label, action) => {
    const own = make("button", { type: "button" }, label);
    own.addEventListener("click", action);
    return own;
  };
  const copy = button("Copy", async () => {
    void signal("copy");
    await navigator.clipboard?.writeText(text.textContent).catch(() => {});
    copy.textContent = "Copied";
  });
  const share = button("Share", async () => {
    void signal("share");
    share.textContent = "Shared (not really)";
  });
  const again = button("Regenerate", () => {
    if (writing) return;
    void signal("regenerate");
    void stream("/again", { answer: id });
  });
  return make("div", {}, thumbs, make("div", { class: "row" }, copy, share, again));
}

async function client() {
  const { connect } = await import("/thumbline.mjs");
  return connect({ collector: document.querySelector("script[data-collector]").dataset.collector });
}

follow(document.body);
