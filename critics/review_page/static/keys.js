// The review page by keyboard, and fields that grow with their text. Everything works without it, too.
"use strict";

const typing = (element) => /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);

function step(by) {
  const one = document.querySelector(by > 0 ? "a[rel=next]" : "a[rel=prev]");
  const items = [...document.querySelectorAll("#list .item")];
  const here = items.findIndex((item) => item.hasAttribute("aria-current"));
  const target = one || items[here < 0 ? 0 : here + by];
  if (target) target.click();
}

function focus(selector) {
  const field = document.querySelector(selector);
  if (!field) return;
  field.focus();
  if (field.setSelectionRange) field.setSelectionRange(field.value.length, field.value.length);
}

function decide(key) {
  const button = document.querySelector(`#decide button[data-key="${key}"]:not([disabled])`);
  if (button) button.click();
  return Boolean(button);
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
  const action = actions[event.key];
  if (action) action();
  else if (!/^[a-z]$/.test(event.key) || !decide(event.key)) return;
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

document.getElementById("show-keys")?.addEventListener("click", actions["?"]);
document.querySelector("#list [aria-current]")?.scrollIntoView({ block: "nearest" });
