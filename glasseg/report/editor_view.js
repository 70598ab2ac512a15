
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);

// --- the view: the photo with its mask, the result on white, or both, moved and enlarged together ---

const stage = one("#stage");
const picture = one("#picture"); // the canvas that shows layers
const pencil = one("#pencil"); // the canvas over it, for the brush and what is being drawn
const view = { scale: 1, x: 0, y: 0, mode: "photo", mask: true, compared: false, fitted: true };
let layers = null; // canvases of the photo's size: photo, tint, result

const MOST_SCALE = 32;
const TINTS = { [KEEP]: "--keep", [CLEAR]: "--clear", [ERASE]: "--erase" };
const tints = {};
const inkOf = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
const rgbOf = (name) => inkOf(name).match(/\w\w/g).map((hex) => parseInt(hex, 16));

function newLayers(sheet) {
  const canvas = () => {
    const made = document.createElement("canvas");
    made.width = sheet.width;
    made.height = sheet.height;
    return made;
  };
  tints.mask = rgbOf("--mask");
  for (const [label, name] of Object.entries(TINTS)) tints[label] = rgbOf(name);
  layers = { photo: canvas(), tint: canvas(), result: canvas() };
  layers.photo.getContext("2d").putImageData(new ImageData(sheet.pixels, sheet.width, sheet.height), 0, 0);
  refresh(sheet, whole(sheet));
}

/** Bring the layers up to date where labels changed. */
function refresh(sheet, changed) {
  if (isEmpty(changed)) return;
  const area = clipped(grown(changed, 3), sheet);
  const alpha = joinedAlpha(sheet, area);
  put(layers.tint, area, (out) => tint(sheet, area, alpha, out));
  put(layers.result, area, (out) => onWhite(sheet, area, alpha, out));
  draw();
}

function put(layer, area, fill) {
  const part = new ImageData(area.right - area.left, area.bottom - area.top);
  fill(part.data);
  layer.getContext("2d").putImageData(part, area.left, area.top);
}

function onWhite({ width, pixels }, area, alpha, out) {
  for (let y = area.top, at = 0; y < area.bottom; y++) {
    for (let x = area.left; x < area.right; x++, at++) {
      const a = alpha[at];
      const from = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) out[4 * at + c] = 255 - ((255 - pixels[from + c]) * a) / 255;
      out[4 * at + 3] = 255;
    }
  }
}

/** The mask as a tint; touched parts have the colour of their label, an outline, and stripes where they are background. */
function tint(sheet, area, alpha, out) {
  const { width, height, labels } = sheet;
  const reach = Math.max(width, height) > 800 ? 2 : 1;
  for (let y = area.top, at = 0; y < area.bottom; y++) {
    for (let x = area.left; x < area.right; x++, at++) {
      const i = y * width + x;
      const label = labels[i];
      const colour = label === UNTOUCHED ? tints.mask : tints[label];
      let strength = alpha[at] * 0.55;
      if (label !== UNTOUCHED) strength = isRim(labels, width, height, x, y, reach) ? 255 : within(label, x, y, reach);
      out[4 * at] = colour[0];
      out[4 * at + 1] = colour[1];
      out[4 * at + 2] = colour[2];
      out[4 * at + 3] = strength;
    }
  }
}

function isRim(labels, width, height, x, y, reach) {
  const i = y * width + x;
  const label = labels[i];
  return (
    labels[i - Math.min(x, reach)] !== label ||
    labels[i + Math.min(width - 1 - x, reach)] !== label ||
    labels[i - Math.min(y, reach) * width] !== label ||
    labels[i + Math.min(height - 1 - y, reach) * width] !== label
  );
}

/** How strong a label is inside its outline: even for material, slanted stripes for erased, the other way for see-through. */
function within(label, x, y, reach) {
  if (label === KEEP) return 120;
  const stripe = label === ERASE ? x + y : x - y + 100000;
  return stripe % (8 * reach) < 2 * reach ? 150 : 30;
}

// --- panes and their place ---

function panes() {
  const { clientWidth: width, clientHeight: height } = stage;
  const mode = view.compared ? (view.mode === "result" ? "photo" : "result") : view.mode;
  if (mode !== "both") return [{ x: 0, y: 0, width, height, shows: mode }];
  if (width >= height) {
    const half = width / 2;
    return [{ x: 0, y: 0, width: half, height, shows: "photo" }, { x: half, y: 0, width: half, height, shows: "result" }];
  }
  const half = height / 2;
  return [{ x: 0, y: 0, width, height: half, shows: "photo" }, { x: 0, y: half, width, height: half, shows: "result" }];
}

const paneAt = (x, y) => panes().find((pane) => x >= pane.x && y >= pane.y && x < pane.x + pane.width && y < pane.y + pane.height) ?? panes()[0];

/** Show all of an area as large as possible. */
function showArea({ left, top, right, bottom }) {
  const [pane] = panes();
  const margin = Math.min(16, pane.width / 20);
  view.scale = Math.min(MOST_SCALE, (pane.width - 2 * margin) / (right - left), (pane.height - 2 * margin) / (bottom - top));
  view.x = pane.width / 2 - ((left + right) / 2) * view.scale;
  view.y = pane.height / 2 - ((top + bottom) / 2) * view.scale;
  view.fitted = false;
  draw();
}

function fit() {
  if (!layers) return;
  showArea(whole(layers.photo));
  view.fitted = true;
}

/** Zoom by a factor so that the point x, y of the pane stays where it is. */
function zoom(factor, x, y) {
  if (!layers) return;
  const [pane] = panes();
  const least = Math.min(pane.width / layers.photo.width, pane.height / layers.photo.height) / 2;
  const scale = Math.min(MOST_SCALE, Math.max(Math.min(least, 1), view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  move(0, 0);
}

function zoomMiddle(factor) {
  const [pane] = panes();
  zoom(factor, pane.width / 2, pane.height / 2);
}

/** Shift the view; a part of the photo stays in sight. */
function move(x, y) {
  const [pane] = panes();
  const kept = 48;
  const held = (at, size, room) => Math.min(room - kept, Math.max(kept - size, at));
  view.x = held(view.x + x, layers.photo.width * view.scale, pane.width);
  view.y = held(view.y + y, layers.photo.height * view.scale, pane.height);
  view.fitted = false;
  draw();
}

let drawing = 0;
function draw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    paintView();
    paintPencil();
  });
}

/** Fit a canvas to the stage; its context counts in CSS pixels. */
function contextOf(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(stage.clientWidth * ratio), Math.round(stage.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, stage.clientWidth, stage.clientHeight);
  return context;
}

/** Call `paint` for each pane, with the context in the photo's own coordinates. */
function inPanes(context, paint) {
  for (const pane of panes()) {
    context.save();
    context.beginPath();
    context.rect(pane.x, pane.y, pane.width, pane.height);
    context.clip();
    context.translate(pane.x + view.x, pane.y + view.y);
    context.scale(view.scale, view.scale);
    paint(pane);
    context.restore();
  }
}

function paintView() {
  const context = contextOf(picture);
  one("#zoom").textContent = `${Math.round(view.scale * 100)} %`;
  if (!layers) return;
  context.imageSmoothingEnabled = view.scale < 2;
  context.imageSmoothingQuality = view.scale < 0.6 ? "high" : "low";
  inPanes(context, ({ shows }) => {
    const shown = shows === "result" ? [layers.result] : view.mask && !view.compared ? [layers.photo, layers.tint] : [layers.photo];
    for (const layer of shown) context.drawImage(layer, 0, 0);
  });
}

new ResizeObserver(() => (view.fitted ? fit() : draw())).observe(stage);
