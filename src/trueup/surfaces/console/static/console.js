"use strict";

/* What the pages do beyond what works without this: log in from the link, keep ages current, and refresh what changes. */

const EVERY_MS = 5000;
const SLOWEST_MS = 60000;

const live = document.querySelector("[data-live]");
const said = document.getElementById("said");
const freshness = document.getElementById("freshness");
const serverNow = Number(document.body.dataset.now) || Date.now();
const loadedAt = performance.now();

let tag = "";
let pause = EVERY_MS;
let timer = 0;
let asking = false;

function logInFromLink() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!found) return;
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.getElementById("log-in");
  if (!form) return;
  form.elements.token.value = found;
  form.requestSubmit();
}

function ago(ms) {
  let rest = Math.floor(Math.abs(ms) / 1000);
  if (!rest) return "now";
  const parts = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (rest >= size && parts.length < 2) parts.push(Math.floor(rest / size) + " " + unit);
    else if (parts.length) break;
    rest %= size;
  }
  return ms < 0 ? "in " + parts.join(" ") : parts.join(" ") + " ago";
}

function tickAges() {
  if (document.hidden) return;
  const now = serverNow + performance.now() - loadedAt;
  for (const place of document.querySelectorAll(".age[data-ms]")) {
    const text = ago(now - Number(place.dataset.ms));
    if (place.textContent !== text) place.textContent = text;
  }
}

/* Make an element like a fresh one, keeping the nodes that are there: focus, open details and input stay. */
function grow(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && name !== "data-live") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const kept = new Set();
  let place = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const known = node.id ? named.get(node.id) : nextAlike(place, node);
    if (!known) {
      kept.add(old.insertBefore(node, place));
      continue;
    }
    kept.add(known);
    if (node.id && known !== place) old.insertBefore(known, place);
    else place = known.nextSibling;
    if (known.nodeType === Node.ELEMENT_NODE) grow(known, node);
    else if (known.data !== node.data) known.data = node.data;
  }
  for (const child of [...old.childNodes]) if (!kept.has(child)) child.remove();
}

/* Moving a node would take the focus from it, so that what stands before its like is passed over instead. */
function nextAlike(place, node) {
  while (place && (place.id || place.nodeType !== node.nodeType || place.nodeName !== node.nodeName)) {
    place = place.nextSibling;
  }
  return place;
}

function summary() {
  const place = live.querySelector("[data-summary]");
  return place ? place.dataset.summary : "";
}

function selecting() {
  const chosen = document.getSelection();
  return chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode);
}

function take(text) {
  const before = summary();
  const fresh = document.createElement("div");
  const page = new DOMParser().parseFromString(text, "text/html");
  fresh.id = "live";
  fresh.append(...page.body.childNodes);
  const held = live.contains(document.activeElement);
  grow(live, fresh);
  if (held && !live.contains(document.activeElement)) document.getElementById("main").focus({ preventScroll: true });
  tickAges();
  const after = summary();
  if (after !== before) said.textContent = after;
}

function tell(text, stale) {
  freshness.textContent = "· " + text;
  freshness.classList.toggle("stale", stale);
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  if (selecting()) return again();
  asking = true;
  try {
    const answer = await fetch(location.pathname + location.search, {
      headers: { "X-Console-Live": "1", ...(tag ? { "If-None-Match": tag } : {}) },
      cache: "no-store",
      redirect: "error",
    });
    if (answer.status === 401) return over();
    if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
    if (answer.status === 200) {
      take(await answer.text());
      tag = answer.headers.get("ETag") || "";
    }
    pause = EVERY_MS;
    tell("current", false);
  } catch {
    pause = Math.min(pause * 2, SLOWEST_MS);
    tell("trueup does not answer; what you see is old", true);
  } finally {
    asking = false;
  }
  return again();
}

function again() {
  clearTimeout(timer);
  timer = setTimeout(refresh, pause);
}

function over() {
  const told = "You are logged out; what you see is old.";
  tell(told + " Load the page again to log in.", true);
  said.textContent = told;
}

logInFromLink();
addEventListener("hashchange", logInFromLink);
setInterval(tickAges, 1000);
if (live) {
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  again();
}
