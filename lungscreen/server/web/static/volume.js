// The voxels of a scan: Hounsfield units [z, y, x], loaded in chunks of axial slices, the ones looked at first.

import { ROOT, ask, refusal } from "./api.js";

const AT_ONCE = 4;
const AIR = -1024;

export class Volume {
  constructor(path, grid) {
    this.path = path;
    [this.depth, this.height, this.width] = grid.shape_zyx;
    // Along z, y, x, as the array is.
    this.spacing = [...grid.spacing_mm].reverse();
    this.origin = grid.origin_mm;
    this.direction = grid.direction;
    this.chunkSlices = grid.chunk_slices;
    this.chunks = grid.chunks;
    this.size = [this.depth, this.height, this.width];
    this.hu = new Int16Array(this.depth * this.height * this.width).fill(AIR);
    this.loaded = 0;
  }

  static async open(caseId, page) {
    const path = `/cases/${caseId}/volumes/${page}`;
    return new Volume(path, await ask(path));
  }

  /** Load everything, the chunk with slice z first, then outwards; `seen` is called after each. */
  async load(z, seen) {
    const first = Math.floor(z / this.chunkSlices);
    const order = [...Array(this.chunks).keys()].sort((a, b) => Math.abs(a - first) - Math.abs(b - first));
    const work = async () => {
      for (let chunk = order.shift(); chunk !== undefined; chunk = order.shift()) {
        await this.#fetch(chunk);
        this.loaded += 1;
        seen(this.loaded / this.chunks);
      }
    };
    // The picture that is looked at does not share the line with others.
    const leading = order.shift();
    await this.#fetch(leading);
    this.loaded += 1;
    seen(this.loaded / this.chunks);
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  async #fetch(chunk) {
    const answer = await fetch(`${ROOT}${this.path}/${chunk}`);
    if (!answer.ok) throw await refusal(answer.status, () => answer.json());
    const part = new Int16Array(await answer.arrayBuffer());
    this.hu.set(part, chunk * this.chunkSlices * this.height * this.width);
  }

  at(z, y, x) {
    return this.hu[(z * this.height + y) * this.width + x];
  }

  /** World LPS mm of a voxel. */
  world([z, y, x]) {
    const d = this.direction;
    const mm = [x * this.spacing[2], y * this.spacing[1], z * this.spacing[0]];
    return [0, 1, 2].map((k) => this.origin[k] + d[3 * k] * mm[0] + d[3 * k + 1] * mm[1] + d[3 * k + 2] * mm[2]);
  }

  /** The voxel [z, y, x], with fractions, at world LPS mm; the axes are at right angles. */
  voxel(mm) {
    const d = this.direction;
    const off = mm.map((value, k) => value - this.origin[k]);
    const along = [0, 1, 2].map((k) => d[k] * off[0] + d[3 + k] * off[1] + d[6 + k] * off[2]);
    return [along[2] / this.spacing[0], along[1] / this.spacing[1], along[0] / this.spacing[2]];
  }
}
