"use strict";
// Small words for the DOM. Texts go in as text, never as markup.

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function shape(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Numbers stand at the right; the first so many cells are words.
function row(kind, cells, words = 0) {
  const className = (index) => (index < words ? "word" : "number");
  return make("tr", {}, ...cells.map((cell, index) => make(kind, { className: className(index) }, String(cell))));
}

function tableOf(title, heads, rows, words = 0) {
  const head = row("th", heads, words);
  for (const cell of head.children) cell.scope = "col";
  const table = make("table", {}, make("caption", {}, title), make("thead", {}, head), make("tbody", {}, ...rows));
  const frame = make("div", { className: "scroll", tabIndex: 0 }, table);
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", title);
  return frame;
}

// 31,000 and 0.982: as the tables of the page have it.
function number(value) {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

// A tip beside a point of its box, within it.
function place(tip, [x, y], box) {
  const left = x + tip.offsetWidth + 16 > box.width ? x - tip.offsetWidth - 12 : x + 12;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 10, box.height - tip.offsetHeight))}px`;
}
