
// --- labels: what a person says of each pixel of the copy that is edited ---

const KEEP = 255; // material of the glasses
const CLEAR = 128; // seen through: a clear lens, which is background
const UNTOUCHED = 64; // as the model has it
const ERASE = 0; // background

// A sheet is one photo on the table: width, height, pixels (RGBA), alpha (the model's mask) and labels, row by row.
// An area is a part of it: left, top, right, bottom, the last two outside.

const whole = ({ width, height }) => ({ left: 0, top: 0, right: width, bottom: height });

function clipped(area, { width, height }) {
  const inside = (value, end) => Math.min(end, Math.max(0, value));
  return {
    left: inside(Math.floor(area.left), width),
    top: inside(Math.floor(area.top), height),
    right: inside(Math.ceil(area.right), width),
    bottom: inside(Math.ceil(area.bottom), height),
  };
}

const grown = (area, by) => ({ left: area.left - by, top: area.top - by, right: area.right + by, bottom: area.bottom + by });
const isEmpty = (area) => !area || area.right <= area.left || area.bottom <= area.top;

function united(one, other) {
  if (isEmpty(one)) return other;
  if (isEmpty(other)) return one;
  return {
    left: Math.min(one.left, other.left),
    top: Math.min(one.top, other.top),
    right: Math.max(one.right, other.right),
    bottom: Math.max(one.bottom, other.bottom),
  };
}

function cropped(values, width, { left, top, right, bottom }) {
  const part = new Uint8Array((right - left) * (bottom - top));
  for (let y = top; y < bottom; y++) part.set(values.subarray(y * width + left, y * width + right), (y - top) * (right - left));
  return part;
}

function pasted(part, values, width, { left, top, right, bottom }) {
  const wide = right - left;
  for (let y = top; y < bottom; y++) values.set(part.subarray((y - top) * wide, (y - top + 1) * wide), y * width + left);
}

/** Values as runs, each its length times 256 plus its value: labels come in large patches. */
function toRuns(values) {
  const runs = [];
  for (let i = 0; i < values.length; ) {
    const from = i;
    const value = values[i];
    while (i < values.length && values[i] === value) i++;
    for (let left = i - from; left > 0; left -= 0xffffff) runs.push(Math.min(left, 0xffffff) * 256 + value);
  }
  return Uint32Array.from(runs);
}

function fromRuns(runs) {
  const values = new Uint8Array(runs.reduce((sum, run) => sum + (run >>> 8), 0));
  let at = 0;
  for (const run of runs) values.fill(run & 255, at, (at += run >>> 8));
  return values;
}

const sameValues = (one, other) => one.length === other.length && one.every((value, i) => value === other[i]);

// --- undo: each step keeps what the changed area held before; undoing it swaps the two ---

const HISTORY_BYTES = 32e6;
const newHistory = () => ({ done: [], undone: [] });

/** Remember that `area` of the labels changed from what `before` has there; null if nothing did. */
function remember(history, sheet, before, area) {
  const exact = changedArea(before, sheet.labels, sheet.width, clipped(area, sheet));
  if (!exact) return null;
  history.done.push({ area: exact, runs: toRuns(cropped(before, sheet.width, exact)) });
  history.undone.length = 0;
  let bytes = 0;
  for (let i = history.done.length - 1; i >= 0; i--) {
    bytes += history.done[i].runs.byteLength;
    if (bytes > HISTORY_BYTES) return history.done.splice(0, i + 1) && exact;
  }
  return exact;
}

function changedArea(before, after, width, { left, top, right, bottom }) {
  let area = null;
  for (let y = top; y < bottom; y++) {
    let first = y * width + left;
    let last = y * width + right - 1;
    while (first <= last && before[first] === after[first]) first++;
    if (first > last) continue;
    while (before[last] === after[last]) last--;
    area = united(area, { left: first - y * width, top: y, right: last - y * width + 1, bottom: y + 1 });
  }
  return area;
}

/** Take the last step of `from` back and put what undoes that on `to`; the area that changed, or null. */
function swapStep(from, to, sheet) {
  const step = from.pop();
  if (!step) return null;
  to.push({ area: step.area, runs: toRuns(cropped(sheet.labels, sheet.width, step.area)) });
  pasted(fromRuns(step.runs), sheet.labels, sheet.width, step.area);
  return step.area;
}

const undoStep = (history, sheet) => swapStep(history.done, history.undone, sheet);
const redoStep = (history, sheet) => swapStep(history.undone, history.done, sheet);

// --- the mask: the model's alpha with the labels laid over it ---

const HARD = Uint8Array.from({ length: 256 }, (_, label) => (label === KEEP ? 255 : 0));

/** The mask of one area as it comes out: labels win, and their border to the model's mask is soft by a pixel. */
function joinedAlpha(sheet, area) {
  const { width, height, labels, alpha } = sheet;
  const out = new Uint8Array((area.right - area.left) * (area.bottom - area.top));
  const hard = (i) => (labels[i] === UNTOUCHED ? alpha[i] : HARD[labels[i]]);
  let at = 0;
  for (let y = area.top; y < area.bottom; y++) {
    const up = y ? -width : 0;
    const down = y < height - 1 ? width : 0;
    for (let x = area.left; x < area.right; x++, at++) {
      const i = y * width + x;
      const left = x ? -1 : 0;
      const right = x < width - 1 ? 1 : 0;
      const label = labels[i];
      const alike = labels[i + left] === label && labels[i + right] === label && labels[i + up] === label && labels[i + down] === label;
      if (alike) out[at] = hard(i);
      else out[at] = (4 * hard(i) + hard(i + left) + hard(i + right) + hard(i + up) + hard(i + down)) >> 3;
    }
  }
  return out;
}
