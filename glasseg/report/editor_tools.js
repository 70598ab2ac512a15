
// --- tools: what a pointer does to the labels of the photo on the desk ---

const chosen = { tool: "brush", label: KEEP, radius: 16, hardness: 1, tolerance: 30, twin: true };
let edit = null; // a change that is being made: the labels as they were before, and the area changed so far
let corners = []; // of a polygon that is being drawn
let line = null; // a line that is being drawn: from, to
let last = null; // where the brush was lifted
let turned = null; // the lenses of the last click on one, what they can be in turn, and the step that made them so
let pointed = null; // where the pointer is, in the photo
let crosshair = null; // the same for the keyboard

const begin = () => (edit ??= { before: desk.sheet.labels.slice(), area: null });

function touch(area) {
  edit.area = united(edit.area, area);
  refresh(desk.sheet, area);
}

/** End a change: it becomes a step that can be undone. */
function commit() {
  if (!edit) return;
  const { before, area } = edit;
  edit = null;
  if (!isEmpty(area) && remember(desk.history, desk.sheet, before, area)) labelsChanged();
}

/** Take a change back that is still being made. */
function cancel() {
  if (edit) {
    desk.sheet.labels.set(edit.before);
    refresh(desk.sheet, edit.area);
  }
  edit = line = null;
  corners = [];
  if (gesture === "draw") gesture = "";
  draw();
}

function stroke(from, to) {
  touch(paintStroke(desk.sheet, from, to, chosen, chosen.label));
  last = to;
}

function apply(paint) {
  begin();
  touch(paint());
  commit();
}

const onSheet = ({ x, y }) => x >= 0 && y >= 0 && x < desk.sheet.width && y < desk.sheet.height;

const tools = {
  brush: {
    hint: "Draw. Shift and a click draws a straight line from the last point.",
    down(at, straight) {
      begin();
      stroke(straight && last ? last : at, at);
    },
    move: (at) => stroke(last, at),
    up: commit,
  },
  line: {
    hint: "Drag from one end to the other, as for a temple.",
    down: (at) => (line = { from: at, to: at }),
    move: (at) => (line.to = at),
    up() {
      const { from, to } = line;
      line = null;
      apply(() => paintStroke(desk.sheet, from, to, chosen, chosen.label));
    },
  },
  polygon: {
    hint: "Click each corner; click the first one, or press Enter, to close. Backspace takes a corner back.",
    up: addCorner,
  },
  fill: {
    hint: "Click a colour: all that is connected with it and within the tolerance.",
    up: (at) => onSheet(at) && apply(() => paintFlood(desk.sheet, at, chosen.tolerance, chosen.label)),
  },
  lens: {
    hint: "Click a lens: tinted or clear, whichever it wasn't. Click again for the other, once more for what it was.",
    up: (at) => onSheet(at) && turnLens(at),
  },
};

function addCorner(at) {
  const near = 10 / view.scale;
  const closes = corners.length > 2 && Math.hypot(at.x - corners[0].x, at.y - corners[0].y) < near;
  if (closes) return closePolygon();
  const again = corners.length && Math.hypot(at.x - corners.at(-1).x, at.y - corners.at(-1).y) < near / 3;
  if (again) return corners.length > 2 && closePolygon(); // a double click, or Enter twice
  corners.push(at);
  draw();
}

function closePolygon() {
  const points = corners;
  corners = [];
  if (points.length > 2) apply(() => paintPolygon(desk.sheet, points, chosen.label));
  draw();
}

const TURNS = {
  [KEEP]: "tinted: kept. Click again if it is clear.",
  [CLEAR]: "clear: seen through. Click again if it is tinted.",
};

/** What the model has found of a lens doesn't always tell which kind it is: the next clicks go through all there is. */
function turnLens(at) {
  const { sheet, history } = desk;
  const inside = (region) => region[Math.floor(at.y) * sheet.width + Math.floor(at.x)];
  const again = turned && turned.step === history.done.at(-1) && turned.twin === chosen.twin && turned.regions.some(inside);
  if (!again) {
    const found = lensesAt(sheet, at, chosen.twin);
    if (!found) return say("No lens is there: nothing encloses it, or it is too thin. Draw it as a polygon instead.");
    const labels = [found.label, found.label === KEEP ? CLEAR : KEEP, null];
    turned = { regions: found.regions, labels, before: sheet.labels.slice(), twin: chosen.twin, step: null };
  }
  const label = turned.labels.shift();
  turned.labels.push(label);
  apply(() => turned.regions.map((region) => paintRegion(sheet, region, label, turned.before)).reduce(united, null));
  turned.step = history.done.at(-1);
  const lenses = turned.regions.length > 1 ? "Both lenses are" : "The lens is";
  say(`${lenses} ${TURNS[label] ?? "as before."}`);
}

// --- the pencil: what shows where a tool is and what it is about to do ---

function paintPencil() {
  const context = contextOf(pencil);
  if (!desk) return;
  inPanes(context, () => {
    if (line) outline(context, () => trace(context, [line.from, line.to]), chosen.radius * 2 * view.scale);
    if (corners.length) outline(context, () => trace(context, pointed ? [...corners, pointed] : corners));
    if (corners.length) outline(context, () => context.arc(corners[0].x, corners[0].y, 5 / view.scale, 0, 7));
    const drawn = chosen.tool === "brush" || chosen.tool === "line";
    if (pointed && drawn) ring(context, pointed, chosen.radius);
    if (pointed && drawn && chosen.hardness < 1) ring(context, pointed, chosen.radius * chosen.hardness);
    if (crosshair && document.activeElement === stage) cross(context, crosshair);
  });
}

const ring = (context, at, radius) => outline(context, () => context.arc(at.x, at.y, radius, 0, 7));

function cross(context, at) {
  const arm = 14 / view.scale;
  outline(context, () => {
    trace(context, [{ x: at.x - arm, y: at.y }, { x: at.x + arm, y: at.y }]);
    trace(context, [{ x: at.x, y: at.y - arm }, { x: at.x, y: at.y + arm }]);
  });
}

function trace(context, points) {
  points.forEach(({ x, y }, i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
}

/** Stroke a path so that it is seen on any ground; `wide`, in CSS pixels, shows what it covers. */
function outline(context, path, wide = 0) {
  context.beginPath();
  path();
  context.lineCap = context.lineJoin = "round";
  const strokes = [[3, "#000a"], [1.25, "#fff"]];
  if (wide) strokes.unshift([wide, "#2f5bd766"]);
  for (const [width, ink] of strokes) {
    context.lineWidth = width / view.scale;
    context.strokeStyle = ink;
    context.stroke();
  }
}

// --- pointers: one finger or the mouse draws, two fingers, the middle button or space move and zoom ---

const fingers = new Map(); // pointers that are down, by id: x, y on the stage
let gesture = ""; // draw, pan, pinch, or none
let pane = null; // in which it began
let spaced = false; // the space bar is down

const onStage = ({ clientX, clientY }) => {
  const { left, top } = stage.getBoundingClientRect();
  return { x: clientX - left, y: clientY - top };
};
const inPhoto = ({ x, y }, { x: left, y: top }) => ({ x: (x - left - view.x) / view.scale, y: (y - top - view.y) / view.scale });

stage.addEventListener("pointerdown", (event) => {
  if (!desk || (event.pointerType === "mouse" && event.button > 1)) return;
  event.preventDefault();
  stage.classList.add("pointed"); // the focus shows again when a key moves the crosshair
  stage.focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
  const at = onStage(event);
  fingers.set(event.pointerId, at);
  crosshair = null;
  if (fingers.size > 1) {
    if (gesture === "draw" && chosen.tool !== "polygon") cancel();
    gesture = "pinch";
    return;
  }
  pane = paneAt(at.x, at.y);
  gesture = spaced || event.button === 1 ? "pan" : "draw";
  pointed = inPhoto(at, pane);
  if (gesture === "draw") tools[chosen.tool].down?.(pointed, event.shiftKey);
  draw();
});

stage.addEventListener("pointermove", (event) => {
  if (!desk) return;
  const before = fingers.get(event.pointerId);
  if (!before) {
    const at = onStage(event);
    pointed = inPhoto(at, paneAt(at.x, at.y));
    return draw();
  }
  if (gesture === "draw") {
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      pointed = inPhoto(onStage(one), pane);
      tools[chosen.tool].move?.(pointed);
    }
  }
  const at = onStage(event);
  if (gesture === "pan") move(at.x - before.x, at.y - before.y);
  if (gesture === "pinch") pinch(event.pointerId, before, at);
  fingers.set(event.pointerId, at);
  draw();
});

function pinch(id, before, at) {
  const other = [...fingers].find(([finger]) => finger !== id)?.[1];
  if (!other) return;
  const apart = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
  move((at.x - before.x) / 2, (at.y - before.y) / 2);
  zoom(apart(at) / apart(before), (at.x + other.x) / 2 - pane.x, (at.y + other.y) / 2 - pane.y);
}

function lift(event) {
  if (!fingers.delete(event.pointerId) || fingers.size) return;
  const was = gesture;
  gesture = "";
  if (was !== "draw") return draw();
  if (event.type === "pointercancel") return cancel();
  pointed = inPhoto(onStage(event), pane);
  tools[chosen.tool].up(pointed);
  if (event.pointerType === "touch" && chosen.tool !== "polygon") pointed = null;
  draw();
}

stage.addEventListener("pointerup", lift);
stage.addEventListener("pointercancel", lift);
stage.addEventListener("pointerleave", () => {
  if (!fingers.size && !corners.length) pointed = null;
  draw();
});
stage.addEventListener("contextmenu", (event) => event.preventDefault());
stage.addEventListener("auxclick", (event) => event.preventDefault());

stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const at = onStage(event);
    const { x, y } = paneAt(at.x, at.y);
    const lines = event.deltaMode ? 24 : 1;
    zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * (event.ctrlKey ? 0.01 : 0.002)), at.x - x, at.y - y);
  },
  { passive: false },
);
