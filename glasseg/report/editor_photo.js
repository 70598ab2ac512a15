"use strict";

// From a disk all origins are the same unnamed one; from a server only a page of the same server gets the photo.
const whom = location.protocol === "file:" ? "*" : location.origin;
if (parent !== window) parent.postMessage(JSON.parse(document.getElementById("data").textContent), whom);
