// The panel beside the chat: follows the person's own last vote from the page to the row that it becomes.
const EVERY_MS = 400;
const LONGEST_MS = 60_000;

const find = (id) => document.getElementById(id);
const step = (name) => document.querySelector(`[data-step=${name}]`);

export function follow(root) {
  let current = "";
  root.addEventListener("thumbline-vote", ({ detail }) => {
    current = detail.event_id;
    begin(detail);
  });
  root.addEventListener("thumbline-state", ({ detail }) => {
    if (current && detail.eventId !== current) return;
    if (detail.status === "saved") {
      reach("collector", "accepted");
      reach("log", "on disk");
      void look(detail.eventId, () => current === detail.eventId);
    } else if (detail.status === "refused") fail("collector", detail.why ?? "refused");
  });
}

function begin(said) {
  for (const item of document.querySelectorAll("#steps li")) item.className = "";
  for (const [name, text] of Object.entries(TEXTS)) step(name).querySelector("span").textContent = text;
  find("row").hidden = true;
  find("said").textContent = sentence(said);
  reach("page", "sent");
}

const TEXTS = {
  page: "keeps it until it is saved",
  collector: "checks receipt and fields",
  log: "on disk, acknowledged",
  landed: "landed, once",
  row: "the row that it becomes",
};

function sentence({ kind, value, outcome, score, tags, comment, strength }) {
  if (kind === "thumb" && value === "retracted") return "Thumb taken back.";
  const more = [tags?.length && tags.join(", "), comment && "with a comment", strength && `strength ${strength} of 5`];
  const details = more.filter(Boolean).join("; ");
  const what = {
    thumb: `Thumbs ${value}`,
    pick: { winner: "Picked one answer", retracted: "Pick taken back" }[outcome] ?? `Pick: ${outcome}`,
    rating: score === null ? "Rating taken back" : `Rated the conversation ${score} of 5`,
    edit: "Your own version of the answer",
  }[kind];
  return `${what}${details && ` (${details})`}.`;
}

async function look(id, isCurrent) {
  const started = performance.now();
  while (isCurrent() && performance.now() - started < LONGEST_MS) {
    const found = await fetch(`/where?id=${id}`).then((response) => response.json(), () => ({ events: [] }));
    const event = found.events.find((one) => one.event_id === id || one.page_event_id === id);
    if (isCurrent() && event?.state === "landed") return landed(event, found, performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

function landed(event, { rows = {}, why_no_row: why }, tookMs) {
  reach("landed", `in load ${event.load}, ${(tookMs / 1000).toFixed(1)} s after it was saved`);
  const [kind, row] = Object.entries(rows ?? {}).find(([, own]) => (Array.isArray(own) ? own.length : own)) ?? [];
  if (!row) return fail("row", why || "becomes no row", "done");
  reach("row", `a row of export ${kind}`);
  find("row").textContent = JSON.stringify(readable(Array.isArray(row) ? row[0] : row), null, 2);
  find("row").hidden = false;
}

// What trains comes first; then what tells where it is from.
const FIRST = ["prompt", "completion", "label", "chosen", "rejected"];

function readable(row) {
  const names = [...FIRST.filter((name) => name in row), ...Object.keys(row).filter((name) => !FIRST.includes(name))];
  return Object.fromEntries(names.map((name) => [name, row[name]]));
}

function reach(name, text) {
  step(name).className = "done";
  step(name).querySelector("span").textContent = text;
}

function fail(name, text, as = "failed") {
  step(name).className = as;
  step(name).querySelector("span").textContent = text;
}
