// The panel beside the chat: follows the person's own last vote from the page to the row that it becomes.
const EVERY_MS = 400;
const LONGEST_MS = 60_000;
// The back end's client sends answers within a second or two.
const ANSWER_MS = 8_000;

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
  let landedAt = 0;
  while (isCurrent() && performance.now() - started < LONGEST_MS) {
    const found = await fetch(`/where?id=${id}`).then((response) => response.json()).catch(() => ({ events: [] }));
    const event = found.events.find((one) => one.event_id === id || one.page_event_id === id);
    if (isCurrent() && event?.state === "landed") {
      landedAt ||= land(event, performance.now() - started);
      // A vote may land before its answer does: the row is there when both are.
      const isLast = event.standing !== "current" || performance.now() - landedAt > ANSWER_MS;
      if (showRow(found) || (isLast && fail("row", found.why_no_row || "becomes no row", "done"))) return;
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/** When it was. */
function land({ load }, tookMs) {
  reach("landed", `in load ${load}, ${(tookMs / 1000).toFixed(1)} s after it was saved`);
  return performance.now();
}

/** Whether there is one. */
function showRow({ rows }) {
  const [kind, row] = Object.entries(rows ?? {}).find(([, own]) => (Array.isArray(own) ? own.length : own)) ?? [];
  if (!row) return false;
  reach("row", `a row of export ${kind}`);
  find("row").textContent = JSON.stringify(readable(Array.isArray(row) ? row[0] : row), null, 2);
  find("row").hidden = false;
  return true;
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
  return true;
}
