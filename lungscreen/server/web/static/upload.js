// Files to the server, with progress.

import { ROOT, refusal } from "./api.js";

/** Send files, and options in the fields of a form, in one request. Returns { done: promise of the answer, stop: function }. */
export function send(files, progress, path = "/cases", options = new FormData()) {
  const request = new XMLHttpRequest();
  const form = new FormData();
  for (const [name, value] of options) if (value !== "") form.append(name, value);
  for (const file of files) form.append("files", file);
  const done = new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    request.addEventListener("load", async () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(await refusal(request.status, async () => JSON.parse(request.responseText)));
    });
    request.addEventListener("error", () => reject(new Error("the upload broke off")));
    request.addEventListener("abort", () => reject(new Error("stopped")));
  });
  request.open("POST", `${ROOT}${path}`);
  request.setRequestHeader("Accept", "application/json");
  request.send(form);
  return { done, stop: () => request.abort() };
}

/** Hand what is dropped on an element to `take`, as a list of files. */
export function takeDrops(element, take) {
  for (const name of ["dragenter", "dragover"]) {
    element.addEventListener(name, (event) => { event.preventDefault(); element.classList.add("over"); });
  }
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    element.classList.remove("over");
    take(await dropped(event.dataTransfer));
  });
}

/** All files of a drop, those in folders too. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(under))).flat();
}

async function under(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A reader hands out some entries at a time, none at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    found.push(...(await Promise.all(some.map(under))).flat());
  }
  return found;
}
