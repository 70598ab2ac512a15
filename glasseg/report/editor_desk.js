
// --- the desk: which photo is edited, and what a person has said of each ---

const photos = JSON.parse(one("#photos").textContent);
const items = all(".photo");
const done = photos.map(newWork); // what was done about each photo
const histories = photos.map(newHistory);
const sheets = new Map(); // loaded or loading: the photo on the desk and its neighbours
let desk = null; // { index, sheet, history } of the photo that is edited
let wanted = -1; // the photo that is to come on the desk
let store = null;
let news = ""; // what the person should hear once the next photo is there
let unstored = 0; // writes to the store that have not ended well

function newWork() {
  return { runs: null, width: 0, height: 0, approved: false, exported: false };
}

const isDone = ({ runs, approved }) => Boolean(runs) || approved;
const waiting = () => done.some((work) => isDone(work) && !work.exported);

// --- from photo to photo ---

const sheetOf = (index) => {
  if (!sheets.has(index)) sheets.set(index, loadSheet(index + 1, photos[index]));
  return sheets.get(index);
};

async function show(index) {
  if (!photos[index] || (index === wanted && sheets.has(index))) return;
  commit();
  cancel();
  desk = layers = last = pointed = crosshair = null;
  wanted = index;
  location.replace(`#${index + 1}`);
  showAbout();
  say("Loading …", true);
  for (const other of sheets.keys()) if (Math.abs(other - index) > 1) sheets.delete(other);
  try {
    const sheet = await sheetOf(index);
    if (index === wanted) lay(index, sheet);
    prefetch(index);
  } catch (error) {
    sheets.delete(index);
    if (index === wanted) say(`This photo can't be shown: ${error.message}.`, true);
  }
}

/** Load the neighbours in the background, the next one first. */
async function prefetch(index) {
  for (const next of [index + 1, index - 1]) {
    if (photos[next] && wanted === index) await sheetOf(next).catch(() => sheets.delete(next));
  }
}

function lay(index, sheet) {
  const work = done[index];
  const fits = !work.runs || (work.width === sheet.width && work.height === sheet.height);
  if (!fits) setDone(index, newWork());
  sheet.labels = work.runs && fits ? fromRuns(work.runs) : sheet.initial.slice();
  desk = { index, sheet, history: histories[index] };
  newLayers(sheet);
  fit();
  say(fits ? news : "What was drawn here before no longer fits the photo, and was dropped.");
  news = "";
  showAbout();
}

const step = (by) => show(Math.min(photos.length - 1, Math.max(0, wanted + by)));

// --- what is done about a photo ---

function setDone(index, work) {
  done[index] = work;
  showDone(index);
  keep(index);
}

/** After each change: a photo is touched if its labels differ from those it came with, and then it isn't approved. */
function labelsChanged() {
  const { index, sheet } = desk;
  const touched = !sameValues(sheet.labels, sheet.initial);
  const { width, height } = sheet;
  setDone(index, { ...newWork(), runs: touched ? toRuns(sheet.labels) : null, width, height });
  say("");
}

/** Approve the photo and go on to the next one that is not done; or take the approval back. */
function approve() {
  if (!desk) return;
  const { index } = desk;
  const work = done[index];
  if (work.runs) return say("This photo has been touched and goes out as a correction. Reset it first to approve it.");
  setDone(index, { ...newWork(), approved: !work.approved });
  if (work.approved) return say("No longer approved.");
  if (nextOpen()) news = `Photo ${index + 1} is approved: fine as it is.`;
}

/** Go to the next photo about which nothing has been said yet; whether there is one. */
function nextOpen() {
  const order = photos.map((_, i) => (wanted + 1 + i) % photos.length);
  const open = order.find((index) => !isDone(done[index]));
  if (open === undefined) say("All photos are corrected or approved: export them.");
  else show(open);
  return open !== undefined;
}

function reset() {
  if (!desk) return;
  cancel();
  apply(() => {
    desk.sheet.labels.set(desk.sheet.initial);
    return whole(desk.sheet);
  });
}

function takeBack(swap) {
  if (!desk) return;
  if (corners.length && swap === undoStep) return corners.pop() && draw();
  cancel();
  const area = swap(desk.history, desk.sheet);
  if (!area) return;
  refresh(desk.sheet, area);
  labelsChanged();
}

// --- the store ---

const nameOf = ({ key }) => JSON.stringify([document.body.dataset.destination, document.body.dataset.run, key]);

async function keep(index) {
  if (!store) return showKept();
  const photo = photos[index];
  const work = done[index];
  unstored++;
  try {
    if (isDone(work)) await storeWork(store, nameOf(photo), { ...work, source_etag: photo.source_etag, size: photo.size });
    else await dropWork(store, nameOf(photo));
    unstored--;
  } catch {
    store = null; // full, or taken away: from now on leaving warns
  }
  showKept();
}

/** What was done on an earlier visit, unless the photo is another since. */
async function recall() {
  store = await openStore();
  if (!store) return;
  let stale = 0;
  try {
    for (const [index, photo] of photos.entries()) {
      const work = await storedWork(store, nameOf(photo));
      if (!work) continue;
      if (work.source_etag === photo.source_etag && String(work.size) === String(photo.size)) done[index] = work;
      else stale += await dropWork(store, nameOf(photo)).then(() => 1);
    }
  } catch {
    store = null;
  }
  if (stale) news = `${counted(stale, "photo")} changed since your last visit; what was done about ${stale === 1 ? "it" : "them"} was dropped.`;
}

window.addEventListener("beforeunload", (event) => {
  if (waiting() && (!store || unstored)) event.preventDefault();
});

// --- export: one zip for `glasseg correct` ---

async function exportAll() {
  commit();
  const date = new Date();
  const files = [];
  const listed = [];
  const sent = done.map((work) => (isDone(work) ? work : null));
  for (const [index, work] of sent.entries()) {
    if (!work) continue;
    const { key, source_etag, model_id, run_id, size } = photos[index];
    const entry = { key, source_etag, model_id, run_id, size };
    if (work.runs) {
      entry.map = `maps/${String(files.length + 1).padStart(4, "0")}.png`;
      files.push([entry.map, await encodePng(fromRuns(work.runs), work.width, work.height)]);
    } else entry.approved = true;
    listed.push(entry);
  }
  if (!listed.length) return say("There is nothing to export yet.");
  const { destination, run } = document.body.dataset;
  const exported_at = date.toISOString().replace(/\.\d+/, "");
  const text = JSON.stringify({ format: "glasseg corrections", version: 1, destination, exported_at, photos: listed }, null, 1);
  download(zip([["corrections.json", encodeText(text)], ...files], date), `corrections-${run}.zip`);
  sent.forEach((work, index) => {
    if (work && done[index] === work) setDone(index, { ...work, exported: true });
  });
  say(`Exported ${counted(listed.length, "photo")}. Now run: glasseg correct DST corrections-${run}.zip`);
}

function download(bytes, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// --- what is shown around the photo ---

let said = 0;

/** Tell the person something, for as long as it takes to read, or for as long as it is so. */
function say(text, stays = false) {
  one("#say").textContent = text;
  clearTimeout(said);
  if (!stays) said = setTimeout(() => (one("#say").textContent = ""), 3000 + 60 * text.length);
}

function showDone(index) {
  const work = done[index];
  const state = work.runs ? "corrected" : work.approved ? "approved" : "";
  const item = items[index];
  item.dataset.done = state;
  item.classList.toggle("exported", work.exported);
  item.querySelector(".done").textContent = state && (work.exported ? `${state}, exported` : state);
  showCounts();
  if (index === wanted) showAbout();
}

function showCounts() {
  const corrected = done.filter((work) => work.runs).length;
  const approved = done.filter((work) => work.approved).length;
  one("#corrected").textContent = corrected;
  one("#approved").textContent = approved;
  one("#export").disabled = !(corrected + approved);
  showKept();
}

function showKept() {
  const kept = one("#kept");
  kept.classList.toggle("warning", !store && waiting());
  if (!store) kept.textContent = "This browser keeps nothing: export before you leave";
  else kept.textContent = waiting() ? "Kept in this browser, not exported yet" : "Kept in this browser";
}

function showAbout() {
  const photo = photos[wanted];
  if (!photo) return;
  one("#name").textContent = photo.key;
  const badge = one("#state");
  badge.className = `badge ${photo.state}`;
  badge.textContent = photo.label;
  const quality = photo.quality?.toFixed(2);
  const said = !quality || photo.why.includes(`quality is ${quality}`);
  const facts = [photo.why, said ? "" : `quality ${quality}`, photo.corrected ? "corrected before" : ""];
  one("#why").textContent = facts.filter(Boolean).join(" · ");
  items.forEach((item, index) => {
    item.tabIndex = index === wanted ? 0 : -1; // the list is one stop of the Tab key
    if (index === wanted) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  });
  items[wanted].scrollIntoView({ block: "nearest", inline: "nearest" });
  one("#previous").disabled = wanted === 0;
  one("#next").disabled = wanted === photos.length - 1;
  one("#approve").setAttribute("aria-pressed", done[wanted].approved);
  one("#approve").disabled = !desk || Boolean(done[wanted].runs);
  one("#undo").disabled = !desk?.history.done.length;
  one("#redo").disabled = !desk?.history.undone.length;
  one("#reset").disabled = !done[wanted].runs;
}
