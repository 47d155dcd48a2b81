// One plane on a canvas: the slice, what is drawn over it, and where on it a pointer is.

import { PLANES, paint } from "./planes.js";

const MARK = "#ffbe28";
const FAINT = "rgba(255, 190, 40, .75)";
const CROSS = "rgba(92, 198, 208, .55)";
const RULER = "#7fd99a";
const FONT = '12px system-ui, "DejaVu Sans", sans-serif';

export class Pane {
  constructor(name, canvas, view) {
    this.name = name;
    this.title = PLANES[name].name;
    this.plane = PLANES[name];
    this.canvas = canvas;
    this.view = view;
    this.volume = view.volume;
    this.context = canvas.getContext("2d", { alpha: false });
    this.across = this.volume.size[this.plane.across];
    this.down = this.volume.size[this.plane.down];
    this.spacing = [this.volume.spacing[this.plane.across], this.volume.spacing[this.plane.down]];
    this.slice = document.createElement("canvas");
    this.slice.width = this.across;
    this.slice.height = this.down;
    this.image = new ImageData(this.across, this.down);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.painted = "";
    this.reset();
  }

  reset() {
    this.zoom = 1;
    this.pan = [0, 0];
  }

  get index() {
    return Math.round(this.view.position[this.plane.axis]);
  }

  get count() {
    return this.volume.size[this.plane.axis];
  }

  /** Why there is no slice to show; empty: there is one. */
  get missing() {
    return "";
  }

  /** The position so many slices on. */
  stepped(by) {
    const position = [...this.view.position];
    position[this.plane.axis] = Math.max(0, Math.min(this.count - 1, this.index + by));
    return position;
  }

  /** The position at a voxel on this slice, which stays. */
  led(voxel) {
    const position = [...voxel];
    position[this.plane.axis] = this.view.position[this.plane.axis];
    return position;
  }

  /** Millimetres to canvas pixels, and where the corner of the slice lies. */
  frame() {
    const [w, h] = [this.canvas.width, this.canvas.height];
    const [mmWide, mmHigh] = [this.across * this.spacing[0], this.down * this.spacing[1]];
    const scale = Math.min(w / mmWide, h / mmHigh) * this.zoom;
    return { scale, x: (w - mmWide * scale) / 2 + this.pan[0], y: (h - mmHigh * scale) / 2 + this.pan[1] };
  }

  /** Canvas pixels of a voxel [z, y, x]; fractions are allowed, a whole number is the middle of its voxel. */
  toCanvas(voxel) {
    const { scale, x, y } = this.frame();
    const across = voxel[this.plane.across] + 0.5;
    const down = this.plane.flip ? this.down - 0.5 - voxel[this.plane.down] : voxel[this.plane.down] + 0.5;
    return [x + across * this.spacing[0] * scale, y + down * this.spacing[1] * scale];
  }

  /** The voxel [z, y, x] under canvas pixels, on the slice that is shown. */
  toVoxel([px, py]) {
    const { scale, x, y } = this.frame();
    const voxel = [...this.view.position];
    voxel[this.plane.axis] = this.index;
    voxel[this.plane.across] = (px - x) / scale / this.spacing[0] - 0.5;
    const down = (py - y) / scale / this.spacing[1];
    voxel[this.plane.down] = this.plane.flip ? this.down - 0.5 - down : down - 0.5;
    return voxel;
  }

  inside(voxel) {
    return voxel.every((value, axis) => value > -0.5 && value < this.volume.size[axis] - 0.5);
  }

  zoomAt(factor, [px, py]) {
    const before = this.frame();
    this.zoom = Math.max(0.5, Math.min(16, this.zoom * factor));
    const after = this.frame();
    const ratio = after.scale / before.scale;
    this.pan[0] += px - (px - before.x) * ratio - after.x;
    this.pan[1] += py - (py - before.y) * ratio - after.y;
  }

  draw() {
    const ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    const [w, h] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const { context } = this;
    context.fillStyle = "#000";
    context.fillRect(0, 0, w, h);
    context.lineWidth = ratio;
    context.font = FONT.replace("12", String(12 * ratio));
    if (this.missing) {
      this.#word(this.missing, w / 2, h / 2, "center", "#fff");
      return;
    }
    this.#paint();
    const { scale, x, y } = this.frame();
    context.imageSmoothingEnabled = this.zoom < 6;
    context.drawImage(this.slice, x, y, this.across * this.spacing[0] * scale, this.down * this.spacing[1] * scale);
    if (this.view.heat) this.view.heatMaps.draw(this);
    if (this.view.cross) this.#drawCross(w, h);
    if (this.view.boxes) this.view.nodules.forEach((nodule) => this.#drawBox(nodule, ratio));
    this.view.rulers.filter((ruler) => ruler.pane === this && ruler.index === this.index).forEach((ruler) => this.#drawRuler(ruler, ratio));
    this.#drawWords(w, h, ratio, scale);
  }

  /** The slice in grey, unless it is what was painted last. */
  #paint() {
    const wanted = `${this.index} ${this.view.level} ${this.view.width}`;
    if (wanted === this.painted) return;
    paint(this.volume, this.plane, this.index, this.view.table, this.pixels);
    this.slice.getContext("2d").putImageData(this.image, 0, 0);
    this.painted = wanted;
  }

  #drawCross(w, h) {
    const [cx, cy] = this.toCanvas(this.view.position);
    const gap = 12;
    this.context.strokeStyle = CROSS;
    this.context.beginPath();
    for (const [ax, ay, bx, by] of [[0, cy, cx - gap, cy], [cx + gap, cy, w, cy], [cx, 0, cx, cy - gap], [cx, cy + gap, cx, h]]) {
      this.context.moveTo(ax, ay);
      this.context.lineTo(bx, by);
    }
    this.context.stroke();
  }

  #drawBox(nodule, ratio) {
    const { axis } = this.plane;
    const radius = (nodule.diameter_mm ?? 0) / 2;
    const away = Math.abs(this.index - nodule.voxel_zyx[axis]) * this.volume.spacing[axis];
    if (away > Math.max(radius, this.volume.spacing[axis] / 2)) return;
    const chosen = nodule.rank === this.view.chosen;
    const [cx, cy] = this.toCanvas(nodule.voxel_zyx);
    const reach = Math.max((radius + 1) * this.frame().scale, 6 * ratio);
    this.context.strokeStyle = chosen ? MARK : FAINT;
    this.context.lineWidth = (chosen ? 2 : 1) * ratio;
    this.context.strokeRect(cx - reach, cy - reach, 2 * reach, 2 * reach);
    this.#word(String(nodule.rank), cx + reach + 3 * ratio, cy - reach + 9 * ratio, "left", MARK);
    this.context.lineWidth = ratio;
  }

  #drawRuler(ruler, ratio) {
    const [ax, ay] = this.toCanvas(ruler.from);
    const [bx, by] = this.toCanvas(ruler.to);
    this.context.strokeStyle = RULER;
    this.context.lineWidth = 1.5 * ratio;
    this.context.beginPath();
    this.context.moveTo(ax, ay);
    this.context.lineTo(bx, by);
    for (const [x, y] of [[ax, ay], [bx, by]]) {
      this.context.moveTo(x + 3 * ratio, y);
      this.context.arc(x, y, 3 * ratio, 0, 2 * Math.PI);
    }
    this.context.stroke();
    this.#word(`${this.lengthOf(ruler).toFixed(1)} mm`, bx + 8 * ratio, by, "left", RULER);
    this.context.lineWidth = ratio;
  }

  lengthOf(ruler) {
    return Math.hypot(...ruler.from.map((value, axis) => (value - ruler.to[axis]) * this.volume.spacing[axis]));
  }

  #drawWords(w, h, ratio, scale) {
    const { letters } = this.plane;
    const edge = 10 * ratio;
    this.#word(letters.left, edge, h / 2, "left", "#fff");
    this.#word(letters.right, w - edge, h / 2, "right", "#fff");
    this.#word(letters.top, w / 2, edge + 4 * ratio, "center", "#fff");
    this.#word(letters.bottom, w / 2, h - edge, "center", "#fff");
    // A bar of 50 mm, or 10 when that leaves the picture.
    const mm = 50 * scale < w / 2 ? 50 : 10;
    const [x, y] = [edge, h - edge];
    this.context.fillStyle = "#fff";
    this.context.fillRect(x, y, mm * scale, 2 * ratio);
    this.#word(`${mm} mm`, x, y - 9 * ratio, "left", "#fff");
  }

  #word(text, x, y, align, color) {
    this.context.textAlign = align;
    this.context.textBaseline = "middle";
    this.context.lineWidth *= 3;
    this.context.strokeStyle = "rgba(0, 0, 0, .8)";
    this.context.strokeText(text, x, y);
    this.context.lineWidth /= 3;
    this.context.fillStyle = color;
    this.context.fillText(text, x, y);
  }
}
