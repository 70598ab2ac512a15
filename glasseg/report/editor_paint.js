
// --- painting: each of these puts `label` on some pixels of a sheet and says which area may have changed ---

/** Squared distance of two colours of a picture (RGBA), by pixel. */
function unlike(pixels, i, j) {
  const red = pixels[4 * i] - pixels[4 * j];
  const green = pixels[4 * i + 1] - pixels[4 * j + 1];
  const blue = pixels[4 * i + 2] - pixels[4 * j + 2];
  return red * red + green * green + blue * blue;
}

/**
 * A straight stroke. `brush`: radius in pixels, hardness and tolerance. The inner share of the brush, its hardness, paints all
 * that it covers; the rest only what resembles the colour under the middle of the brush, so that it keeps to edges.
 */
function paintStroke(sheet, from, to, brush, label) {
  const { width, height, pixels, labels } = sheet;
  const { radius } = brush;
  const box = { left: Math.min(from.x, to.x), top: Math.min(from.y, to.y), right: Math.max(from.x, to.x), bottom: Math.max(from.y, to.y) };
  const area = clipped(grown(box, radius + 1), sheet);
  const along = { x: to.x - from.x, y: to.y - from.y };
  const length = along.x * along.x + along.y * along.y;
  const inner = Math.max(radius * brush.hardness, Math.min(radius, 0.75)) ** 2;
  const least = brush.tolerance ** 2;
  for (let y = area.top; y < area.bottom; y++) {
    for (let x = area.left; x < area.right; x++) {
      const dx = x + 0.5 - from.x;
      const dy = y + 0.5 - from.y;
      const share = length ? Math.min(1, Math.max(0, (dx * along.x + dy * along.y) / length)) : 0;
      const far = (dx - share * along.x) ** 2 + (dy - share * along.y) ** 2;
      if (far > radius * radius) continue;
      if (far > inner) {
        const middleX = Math.min(width - 1, Math.max(0, Math.floor(from.x + share * along.x)));
        const middleY = Math.min(height - 1, Math.max(0, Math.floor(from.y + share * along.y)));
        if (unlike(pixels, y * width + x, middleY * width + middleX) > least) continue;
      }
      labels[y * width + x] = label;
    }
  }
  return area;
}

/** All pixels whose middle is inside a polygon, by the even-odd rule. */
function paintPolygon(sheet, points, label) {
  const { width, labels } = sheet;
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const area = clipped({ left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) }, sheet);
  for (let y = area.top; y < area.bottom; y++) {
    const crossings = crossingsAt(points, y + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const first = Math.max(area.left, Math.ceil(crossings[i] - 0.5));
      const end = Math.min(area.right, Math.ceil(crossings[i + 1] - 0.5));
      if (first < end) labels.fill(label, y * width + first, y * width + end);
    }
  }
  return area;
}

function crossingsAt(points, y) {
  const found = [];
  points.forEach((one, i) => {
    const other = points[(i + 1) % points.length];
    if (one.y <= y !== other.y <= y) found.push(one.x + ((y - one.y) / (other.y - one.y)) * (other.x - one.x));
  });
  return found.sort((a, b) => a - b);
}

/** Where one can get from pixel `start` by steps up, down, left and right over pixels that `accept` takes: 1, elsewhere 0. */
function reached(width, height, start, accept) {
  const found = new Uint8Array(width * height);
  if (accept(start)) spread(width, height, start, accept, found);
  return found;
}

/** The same into `found`, over what it doesn't hold yet; how many pixels they are. */
function spread(width, height, start, accept, found) {
  const stack = [start];
  let count = 0;
  const visit = (i) => {
    if (found[i] || !accept(i)) return;
    found[i] = 1;
    stack.push(i);
  };
  found[start] = 1;
  while (stack.length) {
    const i = stack.pop();
    const x = i % width;
    count++;
    if (x > 0) visit(i - 1);
    if (x < width - 1) visit(i + 1);
    if (i >= width) visit(i - width);
    if (i < width * (height - 1)) visit(i + width);
  }
  return count;
}

/** All that is connected with a point and resembles its colour. */
function paintFlood(sheet, at, tolerance, label) {
  const { width, height, pixels } = sheet;
  const start = Math.floor(at.y) * width + Math.floor(at.x);
  const least = tolerance ** 2;
  return paintRegion(sheet, reached(width, height, start, (i) => unlike(pixels, i, start) <= least), label);
}

/** All pixels of a region (1 inside, 0 outside); without a label they get back those of `before`. */
function paintRegion(sheet, region, label, before = null) {
  const { width, labels } = sheet;
  let area = null;
  for (let first = region.indexOf(1); first >= 0; first = region.indexOf(1, area.bottom * width)) {
    const top = Math.floor(first / width);
    const last = region.subarray(0, (top + 1) * width).lastIndexOf(1);
    for (let i = first; i <= last; i++) if (region[i]) labels[i] = label ?? before[i];
    area = united(area, { left: first - top * width, top, right: last - top * width + 1, bottom: top + 1 });
  }
  return area;
}
