
// --- controls ---

function press(group, value) {
  for (const button of all(`[data-${group}]`)) button.setAttribute("aria-pressed", button.dataset[group] === String(value));
}

function choose(tool) {
  if (chosen.tool !== tool) cancel();
  chosen.tool = tool;
  press("tool", tool);
  for (const option of all("[data-for]")) option.hidden = !option.dataset.for.split(" ").includes(tool);
  one("#labels").classList.toggle("unused", tool === "lens");
  say(tools[tool].hint);
  draw();
}

function paintWith(label) {
  chosen.label = label;
  press("label", label);
  if (chosen.tool === "lens") choose("brush");
}

function showMode(mode) {
  view.mode = mode;
  press("view", mode);
  fit();
}

function toggleMask() {
  view.mask = !view.mask;
  one("#mask").setAttribute("aria-pressed", view.mask);
  draw();
}

function showGlasses() {
  if (!desk) return;
  const { sheet } = desk;
  const area = boundsOf(materialOf(sheet), sheet.width);
  if (area) showArea(grown(area, (area.right - area.left) / 20));
  else fit();
}

function compare(on) {
  if (view.compared === on) return;
  view.compared = on;
  draw();
}

const sliders = { radius: one("#radius"), hardness: one("#hardness"), tolerance: one("#tolerance") };

/** Take over what a slider says; the size of the brush grows by equal factors. */
function slide(name) {
  const { value, valueAsNumber } = sliders[name];
  if (name === "radius") chosen.radius = Math.round(2 * 1.05 ** valueAsNumber) / 4;
  if (name === "hardness") chosen.hardness = valueAsNumber / 100;
  if (name === "tolerance") chosen.tolerance = valueAsNumber;
  one(`output[for=${name}]`).textContent = name === "radius" ? `${Math.round(chosen.radius * 2)} px` : name === "hardness" ? `${value} %` : value;
  draw();
}

function nudge(name, by) {
  sliders[name].valueAsNumber += by;
  slide(name);
}

// --- keys ---

const keys = {
  1: () => paintWith(KEEP),
  2: () => paintWith(ERASE),
  3: () => paintWith(CLEAR),
  4: () => paintWith(UNTOUCHED),
  b: () => choose("brush"),
  i: () => choose("line"),
  p: () => choose("polygon"),
  f: () => choose("fill"),
  l: () => choose("lens"),
  L: () => choose("lens"), // as it is shown: a small one looks like the 1
  t: () => one("#twin").click(),
  x: () => paintWith(chosen.label === KEEP ? ERASE : KEEP),
  "[": () => nudge("radius", -4),
  "]": () => nudge("radius", 4),
  "{": () => nudge("hardness", -10),
  "}": () => nudge("hardness", 10),
  "<": () => nudge("tolerance", -4),
  ">": () => nudge("tolerance", 4),
  z: () => takeBack(undoStep),
  y: () => takeBack(redoStep),
  r: reset,
  v: () => showMode({ photo: "result", result: "both", both: "photo" }[view.mode]),
  m: toggleMask,
  c: () => compare(true),
  "+": () => zoomMiddle(1.25),
  "=": () => zoomMiddle(1.25),
  "-": () => zoomMiddle(0.8),
  0: fit,
  g: showGlasses,
  a: approve,
  j: () => step(1),
  k: () => step(-1),
  n: nextOpen,
  e: exportAll,
  Escape() {
    one(".keys").open = false;
    cancel();
  },
};

const onceEach = "aemrtvx"; // a key that is held down does these once

const withControl = { z: () => takeBack(undoStep), y: () => takeBack(redoStep), Z: () => takeBack(redoStep), s: exportAll };

const onKeyboard = {
  ArrowLeft: (far) => aim(-far, 0),
  ArrowRight: (far) => aim(far, 0),
  ArrowUp: (far) => aim(0, -far),
  ArrowDown: (far) => aim(0, far),
  Enter: useAtCrosshair,
  Backspace: () => corners.pop() && draw(),
};

/** Move the crosshair, by so many hundredths of what is seen; the arrows aim where others point. */
function aim(x, y) {
  const [{ width, height }] = panes();
  const { sheet } = desk;
  const hundredth = Math.min(width, height) / view.scale / 100;
  const from = crosshair ?? inPhoto({ x: width / 2, y: height / 2 }, { x: 0, y: 0 });
  const within = (value, end) => Math.min(end - 0.5, Math.max(0.5, value));
  crosshair = { x: within(from.x + x * hundredth, sheet.width), y: within(from.y + y * hundredth, sheet.height) };
  pointed = crosshair;
  stage.classList.remove("pointed");
  const at = { x: crosshair.x * view.scale + view.x, y: crosshair.y * view.scale + view.y };
  move(Math.max(0, 8 - at.x) - Math.max(0, at.x - width + 8), Math.max(0, 8 - at.y) - Math.max(0, at.y - height + 8));
}

function useAtCrosshair(far, straight) {
  if (corners.length > 2 && !crosshair) return closePolygon();
  if (!crosshair) return aim(0, 0);
  const tool = tools[chosen.tool];
  if (chosen.tool === "line" && line) line.to = crosshair;
  else tool.down?.(crosshair, straight);
  if (chosen.tool !== "line" || line.to !== line.from) tool.up(crosshair);
}

const inList = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

function stepInList(by) {
  step(by);
  items[wanted].focus();
}

document.addEventListener("keydown", (event) => {
  const { key, target, shiftKey } = event;
  if (event.altKey || (event.repeat && onceEach.includes(key))) return;
  let does = null;
  if (event.ctrlKey || event.metaKey) does = Object.hasOwn(withControl, key) ? withControl[key] : null;
  else if (key === " " && (target === stage || target === document.body)) does = () => (spaced = true);
  else if (target === stage && desk && Object.hasOwn(onKeyboard, key)) does = () => onKeyboard[key](shiftKey ? 10 : 1, shiftKey);
  else if (target.matches(".photo") && Object.hasOwn(inList, key)) does = () => stepInList(inList[key]);
  else if (key === "Enter" && corners.length && target === document.body) does = closePolygon;
  else if (Object.hasOwn(keys, key)) does = keys[key];
  if (!does) return;
  event.preventDefault();
  does();
});

document.addEventListener("keyup", ({ key }) => {
  if (key === " ") spaced = false;
  if (key === "c") compare(false);
});
window.addEventListener("blur", () => {
  spaced = false;
  compare(false);
});

// --- buttons ---

const buttons = {
  undo: () => takeBack(undoStep),
  redo: () => takeBack(redoStep),
  smaller: () => zoomMiddle(0.8),
  larger: () => zoomMiddle(1.25),
  fit,
  mask: toggleMask,
  approve,
  reset,
  previous: () => step(-1),
  next: () => step(1),
  export: exportAll,
};

document.addEventListener("click", ({ target, detail }) => {
  const button = target.closest("button");
  if (!button) return;
  if (detail) stage.focus({ preventScroll: true }); // after the mouse, the space bar moves the photo and presses nothing
  const { tool, label, view: mode, index } = button.dataset;
  if (tool) choose(tool);
  else if (label) paintWith(Number(label));
  else if (mode) showMode(mode);
  else if (index) show(Number(index));
  else buttons[button.id]?.();
});

document.addEventListener("input", ({ target }) => {
  if (target.id === "twin") chosen.twin = target.checked;
  else if (Object.hasOwn(sliders, target.id)) slide(target.id);
});

one("#compare").addEventListener("pointerdown", () => compare(true));
for (const name of ["pointerup", "pointercancel", "pointerleave"]) one("#compare").addEventListener(name, () => compare(false));
window.addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

async function start() {
  for (const name of Object.keys(sliders)) slide(name);
  chosen.twin = one("#twin").checked; // a browser may restore values on reload
  paintWith(KEEP);
  choose("brush");
  await recall();
  items.forEach((_, index) => showDone(index));
  showCounts();
  news ||= tools[chosen.tool].hint;
  const linked = Number(location.hash.slice(1)) - 1;
  show(photos[linked] ? linked : 0);
}

start();
