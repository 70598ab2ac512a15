"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);

const cards = all(".card");
const groups = all(".group");
const find = one("input[type=search]");
const chips = all(".chip");
const lists = all("[data-filter]");
const visible = () => cards.filter((card) => !card.hidden);

// --- marks: names of photos, kept for the next visit if the browser allows it ---

const storageKey = "glasseg-marked-" + document.body.dataset.run;
const marks = new Set(stored());

function stored() {
  try {
    const names = JSON.parse(localStorage.getItem(storageKey));
    return Array.isArray(names) ? names : [];
  } catch {
    return []; // the browser gives pages from a disk no storage, or something else wrote there
  }
}

function setMarked(some, on) {
  for (const { dataset } of some) on ? marks.add(dataset.photo) : marks.delete(dataset.photo);
  showMarks();
  try {
    localStorage.setItem(storageKey, JSON.stringify([...marks]));
  } catch {
    // without storage the marks last as long as the page is open
  }
}

const marked = () => cards.filter((card) => marks.has(card.dataset.photo));
const toggle = (card) => setMarked([card], !marks.has(card.dataset.photo));

function showMarks() {
  for (const card of cards) {
    const on = marks.has(card.dataset.photo);
    card.classList.toggle("marked", on);
    one(`#${card.id} .mark`).setAttribute("aria-pressed", on);
  }
  const count = marked().length;
  one("#marked").textContent = count;
  one("#export").disabled = one("#clear").disabled = !count;
}

// --- export ---

// A spreadsheet would run a cell that begins with one of these; glasseg/lists/safe_csv.py takes the quote off.
const guarded = (text) => (/^'*[=+\-@\t\r\n＝＋－＠]/.test(text) ? "'" + text : text);
const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const line = (cells) => cells.map((cell) => quoted(guarded(cell))).join(",") + "\r\n";

function exportMarked() {
  const { run } = document.body.dataset;
  const rows = marked().map(({ dataset }) => [dataset.photo, dataset.status, dataset.code, dataset.note, run]);
  const text = "\ufeff" + [["photo", "status", "error_code", "note", "run_id"], ...rows].map(line).join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `marked-${run}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// --- filters ---

const words = new Map(
  cards.map((card) => [card, [card.dataset.photo, ...all(".listed dd", card).map((cell) => cell.textContent)].join("\n").toLowerCase()]),
);

function filter() {
  const status = one('.chip[aria-pressed="true"]')?.dataset.status;
  const text = find.value.trim().toLowerCase();
  for (const card of cards) {
    const chosen = lists.every((list) => !list.value || card.dataset[list.dataset.filter] === list.value);
    card.hidden = !chosen || (status && card.dataset.status !== status) || !words.get(card).includes(text);
  }
  for (const group of groups) group.hidden = !all(".card:not([hidden])", group).length;
  const count = visible().length;
  one("#shown").textContent = count;
  one("#nothing").hidden = count > 0 || !cards.length;
}

function press(chip) {
  for (const other of chips) other.setAttribute("aria-pressed", other === chip);
  filter();
}

function showAll() {
  find.value = "";
  for (const list of lists) list.value = "";
  press(chips[0]);
}

// --- pictures ---

function slide(slider) {
  slider.closest(".stage").style.setProperty("--at", slider.value + "%");
}

function flip(card) {
  const slider = card.querySelector(".slider");
  if (!slider) return;
  slider.value = slider.value > 50 ? 0 : 100;
  slide(slider);
}

function enlarge(card) {
  card.classList.toggle("large");
  go(card);
}

function toggleMasks() {
  one("#mask").setAttribute("aria-pressed", document.body.classList.toggle("masks"));
}

// --- keys ---

let current = null;
const onCard = (does) => () => current && !current.hidden && does(current);

function go(card) {
  if (!card) return;
  card.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const shown = visible();
  const at = shown.indexOf(current);
  go(at < 0 ? shown[0] : shown[at + by]);
}

/** The nearest card of the next row, above (-1) or below (1). */
function row(by) {
  const here = visible().includes(current) && current.getBoundingClientRect();
  if (!here) return step(1);
  let best = null;
  let least = Infinity;
  for (const card of visible()) {
    const there = card.getBoundingClientRect();
    const down = (there.top - here.top) * by;
    const far = down * 10 + Math.abs(there.left - here.left);
    if (down > 1 && far < least) [best, least] = [card, far];
  }
  go(best);
}

const keys = {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => row(1),
  ArrowUp: () => row(-1),
  j: () => step(1),
  k: () => step(-1),
  x: onCard(toggle),
  " ": onCard(toggle),
  b: onCard(flip),
  m: toggleMasks,
  z: onCard(enlarge),
  "/": () => find.focus(),
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, key)) return;
  if (target.matches("select, input[type=search]")) return;
  if (key === " " && (target.matches("button, summary, a") || !current?.contains(target))) return; // it presses or scrolls
  if (target.matches(".slider") && /^Arrow(Left|Right)$/.test(key)) return;
  event.preventDefault();
  keys[key]();
});

document.addEventListener("focusin", ({ target }) => {
  const card = target.closest(".card");
  if (!card) return;
  if (current) current.tabIndex = -1;
  current = card;
  card.tabIndex = 0;
});

// --- pointers ---

document.addEventListener("input", ({ target }) => {
  if (target.matches(".slider")) slide(target);
  else filter();
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (button.matches(".chip")) press(button);
  else if (button.matches(".mark")) toggle(button.closest(".card"));
  else if (button.id === "mask") toggleMasks();
  else if (button.id === "export") exportMarked();
  else if (button.id === "clear") setMarked(marked(), false);
  else if (button.id === "all") showAll();
});

for (const slider of all(".slider")) slide(slider); // a browser may restore values on reload
if (cards.length) cards[0].tabIndex = 0;
showMarks();
filter();
