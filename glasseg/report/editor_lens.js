
// --- one click on a lens: an opening of the frame becomes a tinted lens, a tinted lens becomes clear ---

const LENS_FIRM = 224; // alpha of a frame of which the model is sure; what it encloses is one lens, though half found
const LENS_HALF = 1.3; // how much larger that must be than the opening that is seen
const LENS_GAP = 0.006; // half the widest gap in a rim that is bridged, as a share of the glasses' longest side
const LENS_SOFT = 3; // pixels: how wide the soft edge between lens and rim is
const LENS_LEAST = 0.035; // half the thickness of material, as a share of the glasses' longest side, below which it is no lens
const LENS_CORE = 0.5; // what is deeper inside than this share of the deepest is surely lens
const LENS_SMOOTH = 0.06; // how far its outline is smoothed, as a share of its greatest depth
const LENS_SLOW = 3; // how much slower what is not lens grows, so that a lens without a rim reaches its own edge
const LENS_EVEN = 4; // a step of colour that doesn't count as an edge

const atLeast = (alpha, least) => alpha.map((value) => (value >= least ? 1 : 0));

/** Where the mask of a sheet holds: 1, elsewhere 0. */
const materialOf = (sheet) => atLeast(joinedAlpha(sheet, whole(sheet)), 128);

/** How far each pixel is from the next one that `region` holds, in pixels, within 8 %; 0 inside. */
function distanceTo(region, width, height) {
  const far = new Float32Array(width * height).fill(1e6);
  for (let i = 0; i < far.length; i++) if (region[i]) far[i] = 0;
  const nearer = (i, j, step) => {
    if (far[j] + step < far[i]) far[i] = far[j] + step;
  };
  const slant = Math.SQRT2;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (x) nearer(i, i - 1, 1);
      if (!y) continue;
      nearer(i, i - width, 1);
      if (x) nearer(i, i - width - 1, slant);
      if (x < width - 1) nearer(i, i - width + 1, slant);
    }
  }
  for (let y = height - 1, i = far.length - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--, i--) {
      if (x < width - 1) nearer(i, i + 1, 1);
      if (y === height - 1) continue;
      nearer(i, i + width, 1);
      if (x) nearer(i, i + width - 1, slant);
      if (x < width - 1) nearer(i, i + width + 1, slant);
    }
  }
  return far;
}

const isWithin = (far, most) => far.map((value) => (value <= most ? 1 : 0));
const flipped = (region) => region.map((value) => 1 - value);

function boundsOf(region, width) {
  let area = null;
  for (let i = region.indexOf(1); i >= 0; i = region.indexOf(1, area.bottom * width)) {
    const top = Math.floor(i / width);
    const last = region.subarray(0, (top + 1) * width).lastIndexOf(1);
    area = united(area, { left: i - top * width, top, right: last - top * width + 1, bottom: top + 1 });
  }
  return area;
}

const touchesBorder = (area, { width, height }) => !area.left || !area.top || area.right === width || area.bottom === height;

const gapOf = (width, height) => Math.max(2, LENS_GAP * Math.max(width, height));

/** Material with the small gaps in its rims closed. */
function bridged(material, { width, height }) {
  const reach = gapOf(width, height);
  const thick = isWithin(distanceTo(material, width, height), reach);
  const shrunk = distanceTo(flipped(thick), width, height);
  return material.map((value, i) => (value || shrunk[i] > reach ? 1 : 0));
}

/** A region, which doesn't touch the border, without holes. */
const filled = (region, width, height) => flipped(reached(width, height, 0, (i) => !region[i]));

/** The opening around pixel `start`, with what lies in it and the soft edge of its rim; null if nothing encloses it. */
function openingAt(sheet, material, start) {
  const { width, height } = sheet;
  let region = reached(width, height, start, (i) => !material[i]);
  if (touchesBorder(boundsOf(region, width), sheet)) {
    const closed = bridged(material, sheet);
    region = reached(width, height, start, (i) => !closed[i]);
    const area = boundsOf(region, width);
    if (!area || touchesBorder(area, sheet)) return null;
    const near = distanceTo(region, width, height);
    const reach = 2 * gapOf(width, height);
    region = region.map((value, i) => (value || (near[i] <= reach && !material[i]) ? 1 : 0));
  }
  const near = distanceTo(region, width, height);
  region = region.map((value, i) => (value || (near[i] <= LENS_SOFT && material[i]) ? 1 : 0));
  return filled(region, width, height);
}

/** From pixel `start` up to where the material is thickest. */
function deepest(depth, width, height, start) {
  let best = start;
  for (let before = -1; best !== before; ) {
    before = best;
    const reach = Math.max(3, Math.floor(depth[before] / 3));
    const x = before % width;
    const y = Math.floor(before / width);
    for (let j = Math.max(0, y - reach); j <= Math.min(height - 1, y + reach); j++) {
      for (let i = Math.max(0, x - reach); i <= Math.min(width - 1, x + reach); i++) {
        if (depth[j * width + i] > depth[best]) best = j * width + i;
      }
    }
  }
  return best;
}

/**
 * The tinted lens around pixel `start` of the material; null where the material is thin.
 *
 * Its core is where the material is thickest, what is thin or at the edge is not lens; between, the border runs where colours
 * change most: both sides grow towards each other, slowly over edges, and meet there.
 */
function tintedAt(sheet, depth, start) {
  const { width, height } = sheet;
  const peak = deepest(depth, width, height, start);
  const most = depth[peak];
  if (most < LENS_LEAST * Math.max(width, height)) return null;
  const core = reached(width, height, peak, (i) => depth[i] > LENS_CORE * most);
  const near = distanceTo(core, width, height);
  const owner = new Uint8Array(width * height); // 0 undecided, 1 lens, 2 not
  const rim = Math.min(2, most / 4);
  for (let i = 0; i < owner.length; i++) owner[i] = core[i] ? 1 : depth[i] > rim && near[i] <= LENS_CORE * most ? 0 : 2;
  grow(sheet, owner);
  const lens = owner.map((value) => (value === 1 ? 1 : 0));
  return smoothed(lens, width, height, Math.max(1, Math.round(LENS_SMOOTH * most)));
}

/** Give every undecided pixel (0) to the owner that reaches it first, as in a watershed. */
function grow({ width, pixels }, owner) {
  const queues = Array.from({ length: 512 }, () => []); // by cost: no step costs more than there are queues
  const cost = new Int32Array(owner.length).fill(2 ** 30);
  let waiting = 0;
  const put = (i, at) => {
    cost[i] = at;
    queues[at & 511].push(i);
    waiting++;
  };
  const visit = (i, j) => {
    const at = cost[i] + (owner[i] === 1 ? 1 : LENS_SLOW) + Math.min(500, Math.floor(unlike(pixels, i, j) / (LENS_EVEN * LENS_EVEN)));
    if (at >= cost[j]) return;
    owner[j] = owner[i];
    put(j, at);
  };
  const around = (i, call) => {
    const x = i % width;
    if (x > 0) call(i, i - 1);
    if (x < width - 1) call(i, i + 1);
    if (i >= width) call(i, i - width);
    if (i + width < owner.length) call(i, i + width);
  };
  const reach = (j, i) => owner[i] && cost[i] && put(i, 0);
  for (let i = 0; i < owner.length; i++) if (!owner[i]) around(i, reach);
  owner.forEach((value, i) => value && (cost[i] = 0)); // who owns a pixel from the beginning keeps it
  for (let at = 0; waiting; at++) {
    const queue = queues[at & 511];
    while (queue.length) {
      const i = queue.pop();
      waiting--;
      if (cost[i] === at) around(i, visit);
    }
  }
}

/** A region with a smooth outline: each pixel as most within `reach` of it are. */
function smoothed(region, width, height, reach) {
  const across = slidingSums(region, width, height, 1, width, reach);
  const counts = slidingSums(across, height, width, width, 1, reach);
  const half = (2 * reach + 1) ** 2 / 2;
  return region.map((_, i) => (counts[i] > half ? 1 : 0));
}

/** Sums over 2 `reach` + 1 values along each of `lines` lines of `length` values, whose values are `step` apart. */
function slidingSums(values, length, lines, step, next, reach) {
  const sums = new Int32Array(values.length);
  for (let line = 0; line < lines; line++) {
    let sum = 0;
    for (let i = -reach; i < length; i++) {
      if (i + reach < length) sum += values[line * next + (i + reach) * step];
      if (i - reach > 0) sum -= values[line * next + (i - reach - 1) * step];
      if (i >= 0) sums[line * next + i * step] = sum;
    }
  }
  return sums;
}

/** The lens at a point, with its twin if wanted, and the label that turns it into the other kind; null if there is none. */
function lensesAt(sheet, at, twin) {
  const alpha = joinedAlpha(sheet, whole(sheet));
  const x = Math.floor(at.x);
  const y = Math.floor(at.y);
  const area = united(boundsOf(atLeast(alpha, 128), sheet.width), { left: x, top: y, right: x + 1, bottom: y + 1 });
  const part = partOf(sheet, alpha, clipped(grown(area, 2), sheet));
  const start = (y - part.area.top) * part.width + x - part.area.left;
  let found = openLenses(part, start, twin);
  if (!found[0] && part.material[start]) found = tintedLenses(part, start, twin);
  if (!found[0]) return null;
  const held = found[0].reduce((sum, value, i) => sum + (value ? part.material[i] - 0.5 : 0), 0); // above 0: more than half
  return { regions: found.map(part.whole), label: held > 0 ? CLEAR : KEEP };
}

/** A sheet of the glasses only: there is less to search. `whole` lays a region of it back into the photo. */
function partOf({ width, height, pixels }, alpha, area) {
  const colours = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height);
  const wide = area.right - area.left;
  const part = new Uint32Array(wide * (area.bottom - area.top));
  for (let y = area.top; y < area.bottom; y++) part.set(colours.subarray(y * width + area.left, y * width + area.right), (y - area.top) * wide);
  const whole = (region) => {
    const out = new Uint8Array(width * height);
    pasted(region, out, width, area);
    return out;
  };
  const mine = cropped(alpha, width, area);
  const planes = { pixels: new Uint8Array(part.buffer), material: atLeast(mine, 128), firm: atLeast(mine, LENS_FIRM) };
  return { area, whole, width: wide, height: area.bottom - area.top, ...planes };
}

/** What the frame encloses around `start`, and its twin; the first is null if nothing does. */
function openLenses(part, start, twin) {
  const { material, firm } = part;
  const open = material[start] ? null : openingAt(part, material, start);
  const wide = openingAt(part, firm, firm[start] ? abovePatch(part, start) : start);
  const half = wide?.[start] && (!open || countOf(wide) > LENS_HALF * countOf(open)); // found in part by the model
  const first = half ? wide : open;
  const other = first && twin && openTwin(part, half ? firm : material, first);
  return other ? [first, other] : [first];
}

/** A pixel just above the patch of firm material at `start`: outside all glasses, unless the patch is of a lens half found. */
const abovePatch = ({ width, height, firm }, start) => Math.max(0, reached(width, height, start, (i) => firm[i]).indexOf(1) - width);

const countOf = (region) => region.reduce((sum, value) => sum + value, 0);

function tintedLenses(part, start, twin) {
  const depth = distanceTo(flipped(part.material), part.width, part.height);
  const first = tintedAt(part, depth, start);
  const other = first && twin && tintedTwin(part, depth, first);
  return other ? [first, other] : [first];
}

/** The middle, size and number of pixels of a region. */
function shapeOf(region, width) {
  const area = boundsOf(region, width);
  const pixels = countOf(region);
  return { x: (area.left + area.right) / 2, y: (area.top + area.bottom) / 2, wide: area.right - area.left, high: area.bottom - area.top, pixels };
}

/** How unlike a lens and its twin two shapes are, small for good ones; Infinity if they can't be. */
function mismatch(one, other) {
  const larger = Math.abs(Math.log(one.pixels / other.pixels));
  const size = Math.max(one.wide, one.high, other.wide, other.high);
  const apart = Math.hypot(one.x - other.x, one.y - other.y) / size;
  if (larger > 1 || apart < 0.6 || apart > 2.5) return Infinity;
  return larger + 0.5 * Math.abs(apart - 1.2) + Math.abs(Math.log(one.high / other.high));
}

function bestTwin(first, regions, width) {
  const shape = shapeOf(first, width);
  let best = null;
  let least = Infinity;
  for (const region of regions) {
    if (!region || region.some((value, i) => value && first[i])) continue;
    const unfit = mismatch(shape, shapeOf(region, width));
    if (unfit < least) [best, least] = [region, unfit];
  }
  return best;
}

function openTwin(sheet, material, first) {
  const { width, height } = sheet;
  const closed = bridged(material, sheet);
  const seen = first.slice();
  const regions = [];
  const least = countOf(first) / 4;
  for (let i = 0; i < seen.length; i++) {
    if (seen[i] || closed[i]) continue;
    if (spread(width, height, i, (j) => !closed[j], seen) > least) regions.push(openingAt(sheet, material, i));
  }
  return bestTwin(first, regions, width);
}

function tintedTwin(sheet, depth, first) {
  const { width, height } = sheet;
  const most = first.reduce((found, value, i) => (value ? Math.max(found, depth[i]) : found), 0);
  const seen = isWithin(distanceTo(first, width, height), 2);
  const regions = [];
  for (let tries = 0; tries < 4; tries++) {
    let peak = -1;
    for (let i = 0; i < depth.length; i++) if (!seen[i] && depth[i] > most / 2 && (peak < 0 || depth[i] > depth[peak])) peak = i;
    if (peak < 0) break;
    const region = tintedAt(sheet, depth, peak);
    if (!region) break;
    region.forEach((value, i) => (seen[i] ||= value));
    seen[peak] = 1;
    regions.push(region);
  }
  return bestTwin(first, regions, width);
}
