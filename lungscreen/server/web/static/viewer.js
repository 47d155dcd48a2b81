// The viewer: one scan in three planes, its nodules, and the tools.

import { ask } from "./api.js";
import { byId, element } from "./dom.js";
import { Heat, LEGEND } from "./heat.js";
import { listen } from "./keys.js";
import { Pane } from "./pane.js";
import { PLANES, greys } from "./planes.js";
import { TOOLS, attach } from "./pointing.js";
import { Prior, PriorPane } from "./prior.js";
import { fillSide } from "./side.js";
import { Volume } from "./volume.js";

export const PRESETS = [["Lung", -600, 1500], ["Soft tissue", 40, 400], ["Bone", 400, 1800], ["Mediastinum", 50, 350], ["Wide", 0, 2500]];
const SHORTEST_MM = 0.5;

class View {
  constructor(volume, nodules, heatMaps) {
    this.volume = volume;
    this.heatMaps = heatMaps;
    this.heat = false;
    this.nodules = nodules;
    this.chosen = 0;
    this.mark = () => {};
    this.boxes = true;
    this.cross = true;
    this.tool = "cross";
    this.rulers = [];
    this.position = volume.size.map((size) => (size - 1) / 2);
    this.waiting = false;
    this.planes = Object.entries(PLANES).map(([name, plane]) => new Pane(name, makePane(name, plane.name), this));
    this.beside = null;
    this.prior = false;
    this.large = this.planes[0];
    this.setWindow(PRESETS[0][1], PRESETS[0][2]);
  }

  /** Those that are shown. */
  get panes() {
    return this.prior ? [this.planes[0], this.beside, ...this.planes.slice(1)] : this.planes;
  }

  /** Show the earlier scan beside this one, or not. */
  togglePrior() {
    if (!this.beside) return;
    if (this.large === this.beside) this.enlarge(this.planes[0]);
    this.toggle("prior");
    this.beside.canvas.closest(".pane").hidden = !this.prior;
    byId("panes").classList.toggle("beside", this.prior);
  }

  setWindow(level, width) {
    this.level = Math.max(-1024, Math.min(3071, level));
    this.width = Math.max(1, Math.min(5000, width));
    this.table = greys(this.level, this.width);
    const chosen = PRESETS.findIndex((preset) => preset[1] === this.level && preset[2] === this.width);
    [...byId("presets").children].forEach((button, k) => button.setAttribute("aria-checked", String(k === chosen)));
    this.redraw();
  }

  setTool(name) {
    this.tool = name;
    for (const button of byId("tools").children) button.setAttribute("aria-checked", String(button.dataset.tool === name));
  }

  toggle(name) {
    this[name] = !this[name];
    byId(name).setAttribute("aria-pressed", String(this[name]));
    this.redraw();
  }

  /** Heat maps on or off; they come when they are first wanted. */
  async toggleHeat() {
    const legend = byId("heat-legend");
    try {
      await this.heatMaps.load();
      const { ranks } = this.heatMaps;
      legend.textContent = ranks.length ? `${LEGEND} Of nodule${ranks.length > 1 ? "s" : ""} ${ranks.join(", ")}.` : "There are no heat maps in this scan.";
      this.toggle("heat");
      legend.hidden = !this.heat;
    } catch (error) {
      legend.textContent = `No heat maps: ${error.message}`;
      legend.hidden = false;
    }
  }

  step(pane, by) {
    this.goTo(pane.stepped(by));
  }

  /** Move to a voxel [z, y, x], or to the nearest one that there is. */
  goTo(voxel) {
    this.position = voxel.map((value, axis) => Math.max(0, Math.min(this.volume.size[axis] - 1, value)));
    this.redraw();
  }

  choose(nodule) {
    this.chosen = nodule.rank;
    this.mark(nodule.rank);
    this.goTo(nodule.voxel_zyx);
  }

  next(by) {
    if (this.nodules.length === 0) return;
    const at = this.nodules.findIndex((nodule) => nodule.rank === this.chosen);
    this.choose(this.nodules[(at + by + this.nodules.length) % this.nodules.length]);
  }

  enlarge(pane) {
    this.large = pane;
    for (const other of [...this.planes, this.beside].filter(Boolean)) other.canvas.closest(".pane").classList.toggle("large", other === pane);
    this.redraw();
  }

  startRuler(pane, voxel) {
    const ruler = { pane, index: pane.index, from: voxel, to: voxel };
    this.rulers.push(ruler);
    return ruler;
  }

  endRuler(ruler) {
    if (ruler.pane.lengthOf(ruler) < SHORTEST_MM) this.rulers = this.rulers.filter((other) => other !== ruler);
    this.listRulers();
  }

  clearRulers() {
    this.rulers = [];
    this.listRulers();
  }

  listRulers() {
    const words = ({ pane, index, ...ruler }) => `${pane.title}, slice ${index + 1}: ${pane.lengthOf(ruler).toFixed(1)} mm`;
    byId("rulers").replaceChildren(...this.rulers.map((ruler) => element("li", {}, words(ruler))));
    this.redraw();
  }

  reset() {
    for (const pane of this.planes) pane.reset();
    this.setWindow(PRESETS[0][1], PRESETS[0][2]);
  }

  /** Say what is under the pointer. */
  point(pane, voxel) {
    if (!pane.inside(voxel)) {
      byId("readout").textContent = "";
      return;
    }
    const whole = voxel.map(Math.round);
    const world = pane.volume.world(voxel).map((value) => value.toFixed(1));
    byId("readout").textContent = `${pane.volume.at(...whole)} HU at ${world.join(", ")} mm`;
  }

  /** Draw before the next frame, however often it was asked for. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const begin = performance.now();
      for (const pane of this.panes) {
        pane.draw();
        const words = `${pane.index + 1} of ${pane.count}`;
        const bar = pane.canvas.closest(".pane");
        bar.querySelector("input").value = String(pane.index);
        bar.querySelector("output").textContent = `${words}, W ${Math.round(this.width)} L ${Math.round(this.level)}`;
        pane.canvas.setAttribute("aria-label", `${pane.title} plane, slice ${words}`);
      }
      // For whoever measures: milliseconds that the last drawing took.
      document.body.dataset.drawn = (performance.now() - begin).toFixed(1);
    });
  }
}

function makePane(name, title) {
  const canvas = element("canvas", { tabindex: "0", role: "img", "data-plane": name });
  const bar = element("div", { class: "bar" }, element("span", {}, title), element("input", { type: "range", min: "0", max: "0", "aria-label": `${title} slice` }), element("output", {}));
  byId("panes").append(element("div", { class: name === "axial" ? "pane large" : "pane" }, element("div", { class: "stage" }, canvas), bar));
  return canvas;
}

function makeButtons(view) {
  for (const [name, words] of Object.entries(TOOLS)) {
    byId("tools").append(element("button", { type: "button", role: "radio", "data-tool": name, title: name[0], onclick: () => view().setTool(name) }, words));
  }
  PRESETS.forEach(([name, level, width], k) => {
    byId("presets").append(element("button", { type: "button", role: "radio", title: String(k + 1), onclick: () => view().setWindow(level, width) }, name));
  });
  for (const name of ["boxes", "cross"]) byId(name).addEventListener("click", () => view().toggle(name));
  byId("prior").addEventListener("click", () => view().togglePrior());
  byId("heat").addEventListener("click", () => view().toggleHeat());
  byId("reset").addEventListener("click", () => view().reset());
  byId("help").addEventListener("click", () => byId("keys").showModal());
}

async function open() {
  const asked = new URLSearchParams(location.search);
  const caseId = asked.get("case") ?? "";
  // What else stands there would lead the requests elsewhere.
  if (!/^[0-9a-f]{32}$/.test(caseId)) throw new Error("The address names no case.");
  const [{ scans }, files] = await Promise.all([ask(`/cases/${caseId}/result`), ask(`/cases/${caseId}/files`)]);
  // The latest study first.
  const shown = scans.filter((scan) => scan.page).sort((a, b) => b.study_date.localeCompare(a.study_date));
  const scan = shown.find((found) => found.page === asked.get("scan")) ?? shown[0];
  const volume = await Volume.open(caseId, scan.page);
  let view = null;
  makeButtons(() => view);
  view = new View(volume, scan.nodules, new Heat(caseId, scan.page));
  view.setTool("cross");
  view.mark = fillSide(byId("findings"), caseId, scans, scan, files, (nodule) => view.choose(nodule));
  for (const pane of view.planes) connect(pane, view);
  const earlier = shown.find((other) => other.page === scan.prior?.page);
  if (earlier) await showPrior(view, caseId, scan, earlier);
  listen(view, PRESETS);
  new ResizeObserver(() => view.redraw()).observe(byId("panes"));
  if (scan.nodules.length) view.choose(scan.nodules[0]);
  await load(volume, view, view.planes[0], "loaded");
  if (earlier) await load(view.beside.volume, view, view.beside, "priorLoaded");
  byId("loading").hidden = true;
}

/** The voxels, those of the slice of a pane first; what is there already is told to whoever waits for it. */
async function load(volume, view, pane, told) {
  await volume.load(pane.index, (share) => {
    byId("loading").value = share;
    for (const painted of view.panes) painted.painted = "";
    document.body.dataset[told] = share.toFixed(3);
    view.redraw();
  });
}

/** A pane's slider, mouse and fingers. */
function connect(pane, view) {
  const slider = pane.canvas.closest(".pane").querySelector("input");
  slider.max = String(pane.count - 1);
  slider.addEventListener("input", () => view.step(pane, Number(slider.value) - pane.index));
  attach(pane, view);
}

async function showPrior(view, caseId, scan, earlier) {
  const prior = await Prior.open(view, caseId, scan, earlier);
  const canvas = makePane("prior", `Axial, earlier scan${earlier.study_date ? `, ${earlier.study_date}` : ""}`);
  view.beside = new PriorPane(canvas, prior, view.planes[0]);
  connect(view.beside, view);
  byId("prior").hidden = false;
  view.togglePrior();
}

open().catch((error) => {
  byId("findings").replaceChildren(element("h2", {}, "Nothing to show"), element("p", { class: "bad", role: "alert" }, error.message), element("p", {}, element("a", { href: "/" }, "All cases")));
});
