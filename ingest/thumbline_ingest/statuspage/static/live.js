// Keeps the page current: asks for the part that changes every two seconds, and changes only what differs, so that
// focus, scrolling, a selection and what is typed stay where they are. Without it the page is as good as a reload.
"use strict";

(() => {
  const EVERY_MS = 2000;
  const PATIENCE_MS = 12000;
  const state = document.getElementById("state");
  let timer = 0;
  let answeredAt = new Date();

  const say = (text, isAway) => {
    // Read aloud when it changes: so only when it does.
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("away", isAway);
  };

  const differs = (old, fresh) => old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName;

  const takeAttributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  };

  const take = (old, fresh) => {
    if (differs(old, fresh)) return old.replaceWith(fresh);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return undefined;
    }
    takeAttributes(old, fresh);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((child, place) => (place < before.length ? take(before[place], child) : old.append(child)));
    before.slice(after.length).forEach((child) => child.remove());
    return undefined;
  };

  const look = async () => {
    const response = await fetch(`/live${location.search}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 401) return location.assign("/sign-in");
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other) take(part, document.importNode(other, true));
    }
    answeredAt = new Date();
    return say("live", false);
  };

  const run = async () => {
    try {
      await look();
    } catch {
      say(`not live: no answer since ${answeredAt.toLocaleTimeString()}`, true);
    }
    plan(EVERY_MS);
  };

  const plan = (waitMs) => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(run, waitMs);
  };

  document.addEventListener("visibilitychange", () => plan(0));
  plan(EVERY_MS);
})();
