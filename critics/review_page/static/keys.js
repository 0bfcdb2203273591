// The review page by keyboard, and fields that grow with their text. Everything works without it, too.
"use strict";

const typing = (element) => /^(INPUT|TEXTAREA)$/.test(element.tagName);

const items = () => [...document.querySelectorAll("#list .item")];
const isShown = (item) => item.dataset.id === document.getElementById("detail")?.dataset.id;

function step(by) {
  const one = document.querySelector(by > 0 ? "a[rel=next]" : "a[rel=prev]");
  const here = items().findIndex(isShown);
  const target = one || items()[here < 0 ? 0 : here + by];
  if (target) target.click();
}

function focus(selector) {
  const field = document.querySelector(selector);
  if (!field) return;
  field.focus();
  if (field.setSelectionRange) field.setSelectionRange(field.value.length, field.value.length);
}

// A decision is one key alone: the letters of a word that somebody meant for a field decide nothing.
const ALONE_MS = 250;
let lastKeyAt = -ALONE_MS;
let decision;

function decide(key, at) {
  clearTimeout(decision);
  const alone = at - lastKeyAt >= ALONE_MS;
  lastKeyAt = at;
  const button = document.querySelector(`#decide button[data-key="${key}"]:not([disabled])`);
  if (button && alone) decision = setTimeout(() => button.click(), ALONE_MS);
}

const actions = {
  j: () => step(1),
  k: () => step(-1),
  e: () => focus("#edit textarea[name=strategy]"),
  c: () => focus("#comment"),
  "/": () => focus("#search"),
  "?": () => document.getElementById("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && typing(event.target)) event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
  if (document.getElementById("keys").open) return;
  if (/^[a-z0-9]$/.test(event.key)) decide(event.key, event.timeStamp);
  const action = actions[event.key];
  if (!action) return;
  action();
  event.preventDefault();
});

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

document.querySelectorAll("textarea").forEach((area) => {
  grow(area);
  area.addEventListener("input", () => grow(area));
});

// A decision is about what is saved, so there is none while words are not; and nobody leaves them behind unasked.
const fields = () => [...document.querySelectorAll("#edit textarea, #edit input:not([type=hidden])")];
const isChanged = () => fields().some((field) => field.value !== field.defaultValue);
const buttons = [...document.querySelectorAll("#edit ~ .decide button:not([disabled])")];
let leaving = false;

document.getElementById("edit")?.addEventListener("input", () => {
  const changed = isChanged();
  buttons.forEach((button) => { button.disabled = changed; });
  document.querySelector(".unsaved").hidden = !changed;
});
document.getElementById("edit")?.addEventListener("submit", () => { leaving = true; });
window.addEventListener("beforeunload", (event) => { if (isChanged() && !leaving) event.preventDefault(); });

document.getElementById("show-keys")?.addEventListener("click", actions["?"]);
// A search changes the list, and leaves what is shown.
document.addEventListener("htmx:afterSwap", () => {
  items().forEach((item) => item.toggleAttribute("aria-current", isShown(item)));
});
document.querySelector("#list [aria-current]")?.scrollIntoView({ block: "nearest" });
