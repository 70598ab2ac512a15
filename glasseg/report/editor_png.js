"use strict";

// --- PNG and zip: maps must leave the page exactly as they were drawn, which a browser's own encoder doesn't promise ---

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes) {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = crcTable[(c ^ bytes[i]) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function joinBytes(parts) {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const encodeText = (text) => new TextEncoder().encode(text);

async function through(transform, bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const pngSignature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

function pngChunk(name, data) {
  const body = joinBytes([encodeText(name), data]);
  const chunk = new Uint8Array(8 + body.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  chunk.set(body, 4);
  view.setUint32(4 + body.length, crc32(body));
  return chunk;
}

/** The PNG (8 bits, grey) of `height` rows of `width` values. */
async function encodePng(values, width, height) {
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header[8] = 8;
  const rows = new Uint8Array(height * (width + 1)); // each row begins with its filter: none
  for (let y = 0; y < height; y++) rows.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const data = await through(new CompressionStream("deflate"), rows);
  return joinBytes([pngSignature, pngChunk("IHDR", header), pngChunk("IDAT", data), pngChunk("IEND", new Uint8Array())]);
}

/** The values of a PNG (8 bits, grey, not interlaced), read without a canvas, since some browsers add noise to one. */
async function decodePng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  if (view.getUint32(24) !== 0x08000000 || bytes[28]) throw new Error("a mask is not an 8-bit grey PNG");
  const parts = [];
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const rows = await through(new DecompressionStream("deflate"), joinBytes(parts));
  return { width, height, values: unfiltered(rows, width, height) };
}

function unfiltered(rows, width, height) {
  const values = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = y * (width + 1) + 1;
    const filter = rows[from - 1];
    const here = y * width;
    for (let x = 0; x < width; x++) {
      const left = x ? values[here + x - 1] : 0;
      const up = y ? values[here + x - width] : 0;
      const corner = x && y ? values[here + x - width - 1] : 0;
      values[here + x] = rows[from + x] + predicted(filter, left, up, corner);
    }
  }
  return values;
}

function predicted(filter, left, up, corner) {
  if (filter < 2) return filter * left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

/** A zip of `files`, pairs of name and bytes, that stores them as they are; names are UTF-8. */
function zip(files, date) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const path = encodeText(name);
    const facts = zipFacts(path, bytes, date);
    const local = joinBytes([Uint8Array.of(80, 75, 3, 4), facts, path]);
    directory.push(joinBytes([Uint8Array.of(80, 75, 1, 2, 20, 0), facts, zipPlace(offset), path]));
    parts.push(local, bytes);
    offset += local.length + bytes.length;
  }
  const listed = joinBytes(directory);
  return joinBytes([...parts, listed, zipEnd(files.length, listed.length, offset)]);
}

/** What a file's own header and its line in the directory share. */
function zipFacts(path, bytes, date) {
  const view = new DataView(new ArrayBuffer(26));
  view.setUint16(0, 20, true);
  view.setUint16(2, 0x800, true); // the name is UTF-8
  view.setUint16(6, (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1), true);
  view.setUint16(8, ((date.getFullYear() - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate(), true);
  view.setUint32(10, crc32(bytes), true);
  view.setUint32(14, bytes.length, true);
  view.setUint32(18, bytes.length, true);
  view.setUint16(22, path.length, true);
  return new Uint8Array(view.buffer);
}

function zipPlace(offset) {
  const view = new DataView(new ArrayBuffer(14));
  view.setUint32(10, offset, true);
  return new Uint8Array(view.buffer);
}

function zipEnd(count, length, offset) {
  const view = new DataView(new ArrayBuffer(22));
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, length, true);
  view.setUint32(16, offset, true);
  return new Uint8Array(view.buffer);
}
