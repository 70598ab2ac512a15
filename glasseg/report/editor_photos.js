
// --- photos: each is in a page of its own, since a page from a disk can't read the pixels of another file ---

const LOADING_MS = 60000;

/** What the page of photo `number` hands out: whose it is, and its picture, alpha and, of an earlier correction, labels. */
function photoData(number) {
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = String(number).padStart(4, "0") + ".html";
  return new Promise((resolve, reject) => {
    const fail = () => end(reject, new Error(`${frame.getAttribute("src")} could not be loaded`));
    const late = setTimeout(fail, LOADING_MS);
    const end = (how, what) => {
      clearTimeout(late);
      window.removeEventListener("message", hear);
      frame.remove();
      how(what);
    };
    const hear = ({ source, data }) => source === frame.contentWindow && end(resolve, data);
    window.addEventListener("message", hear);
    frame.addEventListener("load", () => setTimeout(fail, 2000)); // a page that is not there loads without a message
    document.body.append(frame);
  });
}

/**
 * A photo as it is edited: see "A sheet" in the labels. `initial` are the labels of an earlier correction, or none. The pages
 * may be newer than this shell, in a tab that was left open; then page `number` may be of another photo.
 */
async function loadSheet(number, { key, source_etag }) {
  const data = await photoData(number);
  if (data.key !== key || data.source_etag !== source_etag) throw new Error("this editor was made anew: reload the page");
  const image = new Image();
  image.src = data.picture;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const alpha = await maskOf(data.alpha, width, height);
  const initial = data.labels ? await maskOf(data.labels, width, height) : new Uint8Array(width * height).fill(UNTOUCHED);
  return { width, height, pixels: context.getImageData(0, 0, width, height).data, alpha, initial, labels: initial.slice() };
}

async function maskOf(uri, width, height) {
  const bytes = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  const mask = await decodePng(bytes);
  if (mask.width !== width || mask.height !== height) throw new Error("the mask is not as large as the photo");
  return mask.values;
}

// --- the store: work on each photo is kept in the browser until the photo changes ---

const request = (wanted) =>
  new Promise((resolve, reject) => {
    wanted.onsuccess = () => resolve(wanted.result);
    wanted.onerror = () => reject(wanted.error);
  });

/** The table of works, or null where the browser keeps nothing. */
async function openStore() {
  try {
    const opening = indexedDB.open("glasseg-editor", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("works");
    return await request(opening);
  } catch {
    return null;
  }
}

const works = (store, mode) => store.transaction("works", mode).objectStore("works");
const storedWork = (store, name) => request(works(store, "readonly").get(name));
const storeWork = (store, name, work) => request(works(store, "readwrite").put(work, name));
const dropWork = (store, name) => request(works(store, "readwrite").delete(name));
