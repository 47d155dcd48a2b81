// The list of cases and the upload.

import { ask } from "./api.js";
import { byId, element, megabytes, percent } from "./dom.js";
import { send, takeDrops } from "./upload.js";

const PAGE = 20;
const SOON = 1500;
const LATER = 8000;
const OVER = ["done", "refused", "failed", "cancelled"];

const results = new Map();
let offset = 0;
let timer = 0;
let shown = "";

function words(item) {
  if (item.state === "queued") return `waits, place ${item.place}`;
  if (item.state !== "running") return item.state;
  const said = item.progress;
  if (!said) return "running";
  return said.of > 1 ? `${said.step}, ${said.done} of ${said.of}` : said.step;
}

/** What a case says of its patients: asked for once, when it is done. */
async function summary(item) {
  if (item.state !== "done") return { patients: "", chance: "" };
  if (!results.has(item.id)) {
    const { scans } = await ask(`/cases/${item.id}/result`);
    const read = scans.filter((scan) => scan.status === "ok");
    const patients = [...new Set(read.map((scan) => scan.patient_id))];
    const chances = read.map((scan) => scan.cancer_probability).filter((value) => value !== null);
    const more = patients.length > 1 ? ` and ${patients.length - 1} more` : "";
    const chance = chances.length ? percent(Math.max(...chances)) : "";
    results.set(item.id, { patients: `${patients[0] ?? ""}${more}`, chance });
  }
  return results.get(item.id);
}

async function act(path, method, item) {
  if (method === "DELETE" && !window.confirm("Delete this case and all its files?")) return;
  try {
    await ask(path, method);
    results.delete(item.id);
  } catch (error) {
    byId("said").textContent = error.message;
  }
  await refresh();
}

async function row(item) {
  const { patients, chance } = await summary(item);
  const name = item.id.slice(0, 8);
  const open = item.state === "done";
  return element("tr", { "data-case": item.id },
    element("th", { scope: "row" }, open ? element("a", { href: `/viewer?case=${item.id}` }, element("code", {}, name)) : element("code", {}, name)),
    element("td", {}, new Date(1000 * item.created).toLocaleString(), element("span", { class: "soft small" }, ` ${megabytes(item.bytes)}`)),
    element("td", {}, element("span", { class: `state ${item.state}` }, words(item)), item.detail ? element("div", { class: "small soft" }, item.detail) : null),
    element("td", {}, patients),
    element("td", { class: "r" }, chance),
    element("td", {}, element("div", { class: "actions" },
      open ? element("a", { class: "button", href: `/viewer?case=${item.id}` }, "Open") : null,
      OVER.includes(item.state) ? null : element("button", { type: "button", "aria-label": `Cancel case ${name}`, onclick: () => act(`/cases/${item.id}/cancel`, "POST", item) }, "Cancel"),
      element("button", { type: "button", "aria-label": `Delete case ${name}`, onclick: () => act(`/cases/${item.id}`, "DELETE", item) }, "Delete"))));
}

async function refresh() {
  clearTimeout(timer);
  let wait = LATER;
  try {
    const list = await ask(`/cases?limit=${PAGE}&offset=${offset}`);
    if (list.items.some((item) => !OVER.includes(item.state))) wait = SOON;
    const seen = JSON.stringify([list, offset]);
    if (seen !== shown) {
      const rows = await Promise.all(list.items.map(row));
      byId("rows").replaceChildren(...rows);
      byId("none").hidden = list.total > 0;
      byId("newer").disabled = offset === 0;
      byId("older").disabled = offset + PAGE >= list.total;
      byId("where").textContent = list.total ? `${offset + 1} to ${Math.min(offset + PAGE, list.total)} of ${list.total}` : "";
      shown = seen;
    }
  } catch (error) {
    byId("said").textContent = error.message;
  }
  timer = setTimeout(refresh, wait);
}

async function upload(files) {
  if (files.length === 0) return;
  const total = files.reduce((sum, file) => sum + file.size, 0);
  byId("said").textContent = "";
  byId("sending").hidden = false;
  byId("sending-words").textContent = `Sending ${files.length} file(s), ${megabytes(total)}`;
  const sent = send(files, (loaded, all) => { byId("sending-bar").value = all ? loaded / all : 0; }, "/cases", new FormData(byId("options")));
  byId("stop").onclick = sent.stop;
  try {
    const item = await sent.done;
    byId("said").textContent = item.attempts ? "This content was uploaded before; its case is in the list." : "Uploaded.";
  } catch (error) {
    byId("said").textContent = `Not taken: ${error.message}`;
  }
  byId("sending").hidden = true;
  offset = 0;
  await refresh();
}

for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
  byId(button).addEventListener("click", () => byId(input).click());
  byId(input).addEventListener("change", () => {
    upload([...byId(input).files]);
    byId(input).value = "";
  });
}
byId("options").addEventListener("submit", (event) => event.preventDefault());
takeDrops(byId("drop"), upload);
byId("newer").addEventListener("click", () => { offset = Math.max(0, offset - PAGE); refresh(); });
byId("older").addEventListener("click", () => { offset += PAGE; refresh(); });
refresh();
