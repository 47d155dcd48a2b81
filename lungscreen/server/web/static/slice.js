// One slice to the slice classifier, and what its answer is worth.

import { ask } from "./api.js";
import { byId, element, megabytes, percent } from "./dom.js";
import { send, takeDrops } from "./upload.js";

// Screen pixels a pixel of the view.
const ENLARGED = 3;
// How much of the brightest colour stays.
const OPACITY = 0.55;
const HOT = [255, 150, 30];

let pictures = null;

const share = ({ value }) => percent(value);
const interval = ({ low, high }) => `${percent(low)} to ${percent(high)}`;

async function showWorth() {
  const model = await ask("/slices");
  const apart = model.accuracy.low > model.nearest_neighbour.high;
  byId("worth").replaceChildren(
    element("p", {}, "Of slices whose neighbours it had not seen, the network classed ",
      element("strong", {}, share(model.accuracy)), ` right (95 % interval ${interval(model.accuracy)}); a nearest neighbour on thumbnails `,
      element("strong", {}, share(model.nearest_neighbour)), ` (${interval(model.nearest_neighbour)}).${apart ? "" : " The intervals overlap: it is not shown to know more than that."}`),
    element("p", {}, model.worth),
    element("ul", { class: "small" }, ...model.known_failures.map((words) => element("li", {}, words))),
    element("p", { class: "small soft" }, `Weights ${model.weights}; ${model.n_slices} slices in ${model.n_groups} groups of ${model.data}, in folds that part the groups.`));
}

/** Grey values of a PNG in base64, as pixels. */
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

function draw() {
  if (!pictures) return;
  const { view, heat } = pictures;
  const shown = new ImageData(new Uint8ClampedArray(view.data), view.width, view.height);
  if (byId("heat").getAttribute("aria-pressed") === "true") {
    for (let k = 0; k < shown.data.length; k += 4) {
      const part = (OPACITY * heat.data[k]) / 255;
      for (let c = 0; c < 3; c += 1) shown.data[k + c] = (1 - part) * shown.data[k + c] + part * HOT[c];
    }
  }
  const small = new OffscreenCanvas(view.width, view.height);
  small.getContext("2d").putImageData(shown, 0, 0);
  const canvas = byId("view");
  canvas.width = ENLARGED * view.width;
  canvas.height = ENLARGED * view.height;
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
}

async function show(answer) {
  const rows = Object.entries(answer.probabilities).map(([name, value]) =>
    element("tr", { "data-class": name },
      element("th", { scope: "row" }, name),
      element("td", {}, element("meter", { min: 0, max: 1, value, "aria-label": `Share of ${name}` })),
      element("td", { class: "r" }, percent(value))));
  byId("shares").replaceChildren(...rows);
  byId("beside").textContent = `No probability of cancer: of unseen slices ${share(answer.model.accuracy)} are classed right, by a nearest neighbour ${share(answer.model.nearest_neighbour)}.`;
  const [view, heat] = await Promise.all([answer.view, answer.heat].map(unpacked));
  pictures = { view, heat };
  byId("answer").hidden = false;
  draw();
}

async function upload(files) {
  if (files.length === 0) return;
  byId("answer").hidden = true;
  if (files.length > 1) {
    byId("said").textContent = "Not taken: one slice at a time.";
    return;
  }
  byId("said").textContent = `Sending ${megabytes(files[0].size)}; the first answer takes some seconds.`;
  try {
    await show(await send(files, () => {}, "/slices").done);
    byId("said").textContent = "Answered.";
  } catch (error) {
    byId("said").textContent = `Not taken: ${error.message}`;
  }
}

byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", () => {
  upload([...byId("file").files]);
  byId("file").value = "";
});
byId("heat").addEventListener("click", () => {
  byId("heat").setAttribute("aria-pressed", byId("heat").getAttribute("aria-pressed") !== "true");
  draw();
});
takeDrops(byId("drop"), upload);
showWorth().catch((error) => { byId("worth").textContent = error.message; });
