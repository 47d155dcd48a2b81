// The earlier scan beside the current one: which place is which, and a pane that shows it.

import { ROOT, ask, refusal } from "./api.js";
import { Pane } from "./pane.js";
import { Volume } from "./volume.js";

// Each repetition leaves a small part of what was missing; the map is smooth.
const REPETITIONS = 12;

/** From the current scan to the earlier one, known at some voxels and straight between them. */
class Places {
  constructor({ step_zyx: step, shape_zyx: shape }, values) {
    [this.step, this.shape, this.values] = [step, shape, values];
  }

  static async open(caseId, page) {
    const path = `/cases/${caseId}/prior/${page}`;
    const answer = await fetch(`${ROOT}${path}/places`);
    if (!answer.ok) throw await refusal(answer.status, () => answer.json());
    return new Places(await ask(path), new Float32Array(await answer.arrayBuffer()));
  }

  /** World mm in the earlier scan of a voxel [z, y, x] of the current one. */
  at(voxel) {
    const low = voxel.map((value, axis) => Math.max(0, Math.min(Math.max(0, this.shape[axis] - 2), Math.floor(value / this.step[axis]))));
    const part = voxel.map((value, axis) => (this.shape[axis] > 1 ? value / this.step[axis] - low[axis] : 0));
    const mm = [0, 0, 0];
    for (let corner = 0; corner < 8; corner += 1) {
      const ends = [corner >> 2, (corner >> 1) & 1, corner & 1];
      const weight = ends.reduce((all, end, axis) => all * (end ? part[axis] : 1 - part[axis]), 1);
      if (weight === 0) continue;
      const [z, y, x] = low.map((value, axis) => value + ends[axis]);
      const from = 3 * ((z * this.shape[1] + y) * this.shape[2] + x);
      for (let k = 0; k < 3; k += 1) mm[k] += weight * this.values[from + k];
    }
    return mm;
  }
}

/** The earlier scan as a pane wants a view; its position follows that of the current one, and leads it. */
export class Prior {
  /** `view` of the current scan, both scans of the result. */
  constructor(view, volume, places, scan, earlier) {
    [this.view, this.volume, this.places] = [view, volume, places];
    this.heat = false;
    const found = scan.nodules.filter((nodule) => nodule.prior);
    this.nodules = found.map(({ rank, prior }) => ({ rank, diameter_mm: prior.diameter_mm, voxel_zyx: volume.voxel(prior.center_mm) }));
    this.date = earlier.study_date;
  }

  static async open(view, caseId, scan, earlier) {
    const [volume, places] = await Promise.all([Volume.open(caseId, earlier.page), Places.open(caseId, scan.page)]);
    return new Prior(view, volume, places, scan, earlier);
  }

  get level() { return this.view.level; }
  get width() { return this.view.width; }
  get table() { return this.view.table; }
  get boxes() { return this.view.boxes; }
  get cross() { return this.view.cross; }
  get chosen() { return this.view.chosen; }
  get rulers() { return this.view.rulers; }

  get position() {
    return this.volume.voxel(this.places.at(this.view.position));
  }

  /** The voxel of the current scan that lies at a voxel of this one. */
  current(voxel) {
    const [wanted, { volume }] = [this.volume.world(voxel), this.view];
    let found = this.view.position;
    for (let k = 0; k < REPETITIONS; k += 1) {
      const [here, there] = [volume.world(found), this.places.at(found)];
      found = volume.voxel(here.map((value, axis) => value + wanted[axis] - there[axis]));
    }
    return found;
  }
}

/** An axial slice of the earlier scan, at the scale of the current axial one and with the same place at the same spot. */
export class PriorPane extends Pane {
  constructor(canvas, prior, leader) {
    super("axial", canvas, prior);
    this.leader = leader;
    this.title = "Axial, earlier scan";
  }

  // Zoom and pan are the leader's.
  reset() {}

  get zoom() { return this.leader.zoom; }
  get pan() { return this.leader.pan; }

  get index() {
    return Math.max(0, Math.min(this.count - 1, super.index));
  }

  get missing() {
    const at = this.view.position[this.plane.axis];
    return at < -0.5 || at > this.count - 0.5 ? "not in the earlier scan" : "";
  }

  /** Its canvas beside the leader's: the ratios of width and height. */
  get #ratios() {
    return [this.canvas.width / this.leader.canvas.width, this.canvas.height / this.leader.canvas.height];
  }

  frame() {
    const [wide, high] = this.#ratios;
    const scale = this.leader.frame().scale * Math.min(wide, high);
    const [x, y] = this.leader.toCanvas(this.leader.view.position);
    const { position } = this.view;
    const [across, down] = [position[this.plane.across] + 0.5, position[this.plane.down] + 0.5];
    return { scale, x: x * wide - across * this.spacing[0] * scale, y: y * high - down * this.spacing[1] * scale };
  }

  zoomAt(factor, [x, y]) {
    const [wide, high] = this.#ratios;
    this.leader.zoomAt(factor, [x / wide, y / high]);
  }

  /** What `voxel` of this scan is in the current one; a step is one of this scan's slices. */
  led(voxel) {
    return this.view.current(voxel);
  }

  stepped(by) {
    const voxel = this.view.position;
    voxel[this.plane.axis] = Math.max(0, Math.min(this.count - 1, this.index + by));
    return this.led(voxel);
  }
}
