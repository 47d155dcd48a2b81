// Heat maps over the CT: fetched when they are first wanted, painted where a slice meets one.

import { ROOT, ask, refusal } from "./api.js";

// As in the report: warm raises the nodule's chance, blue lowers it, and faint voxels stay grey.
const WARM = [255, 96, 0];
const COOL = [40, 130, 255];
const MOST_COVER = 0.75;
const FAINT = 0.08;

export const LEGEND = "Heat map: warm voxels raise a nodule's chance of cancer over that of empty lung, blue ones lower it (integrated gradients of the network). Each map is as strong as its own strongest voxel. It shows what the network went by, not where a cancer is.";

export class Heat {
  constructor(caseId, page) {
    this.path = `/cases/${caseId}/heat/${page}`;
    this.maps = null;
    this.colors = new Uint32Array(256);
  }

  /** Fetch all maps, once. */
  async load() {
    if (this.maps) return;
    const { full, maps } = await ask(this.path);
    this.#mix(full);
    this.maps = await Promise.all(maps.map(async ({ rank, start_zyx: start, shape_zyx: shape }) => {
      const answer = await fetch(`${ROOT}${this.path}/${rank}`);
      if (!answer.ok) throw await refusal(answer.status, () => answer.json());
      return { rank, start, shape, values: new Int8Array(await answer.arrayBuffer()), painted: new Map() };
    }));
  }

  get ranks() {
    return (this.maps ?? []).map((map) => map.rank);
  }

  draw(pane) {
    for (const map of this.maps ?? []) this.#drawMap(map, pane);
  }

  #drawMap(map, pane) {
    const { axis, across, down, flip } = pane.plane;
    const at = pane.index - map.start[axis];
    const [wide, high] = [map.shape[across], map.shape[down]];
    if (at < 0 || at >= map.shape[axis] || !wide || !high) return;
    const corner = [...map.start];
    corner[axis] = pane.index;
    corner[across] -= 0.5;
    corner[down] = flip ? map.start[down] + high - 0.5 : map.start[down] - 0.5;
    const [x, y] = pane.toCanvas(corner);
    const { scale } = pane.frame();
    pane.context.imageSmoothingEnabled = true;
    pane.context.drawImage(this.#slice(map, pane, at), x, y, wide * pane.spacing[0] * scale, high * pane.spacing[1] * scale);
  }

  /** A slice of a map as a canvas of its own, painted when it is first seen. */
  #slice(map, pane, at) {
    const key = `${pane.name} ${at}`;
    if (map.painted.has(key)) return map.painted.get(key);
    const { axis, across, down, flip } = pane.plane;
    const steps = [map.shape[1] * map.shape[2], map.shape[2], 1];
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [map.shape[across], map.shape[down]];
    const image = new ImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let row = 0; row < canvas.height; row += 1) {
      const from = at * steps[axis] + (flip ? canvas.height - 1 - row : row) * steps[down];
      for (let k = 0; k < canvas.width; k += 1) pixels[row * canvas.width + k] = this.colors[map.values[from + k * steps[across]] + 128];
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    map.painted.set(key, canvas);
    return canvas;
  }

  #mix(full) {
    for (let value = -128; value < 128; value += 1) {
      const part = Math.min(1, Math.abs(value) / full);
      const cover = part < FAINT ? 0 : Math.round(255 * MOST_COVER * Math.sqrt(part));
      const [red, green, blue] = value > 0 ? WARM : COOL;
      this.colors[value + 128] = (cover << 24) | (blue << 16) | (green << 8) | red;
    }
  }
}
