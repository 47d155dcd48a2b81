// The three planes: which array axes run across and down the picture. z runs to the head, y to the back, x to the left.

export const PLANES = {
  // Seen from the feet, as radiologists do: the patient's left is on the right.
  axial: { name: "Axial", axis: 0, across: 2, down: 1, flip: false, letters: { left: "R", right: "L", top: "A", bottom: "P" } },
  coronal: { name: "Coronal", axis: 1, across: 2, down: 0, flip: true, letters: { left: "R", right: "L", top: "H", bottom: "F" } },
  sagittal: { name: "Sagittal", axis: 2, across: 1, down: 0, flip: true, letters: { left: "A", right: "P", top: "H", bottom: "F" } },
};

/** Grey values of every Hounsfield unit from -1024 on, as opaque pixels. */
export function greys(level, width) {
  const table = new Uint32Array(4096);
  const low = level - width / 2;
  for (let k = 0; k < table.length; k += 1) {
    const grey = Math.max(0, Math.min(255, Math.round((255 * (k - 1024 - low)) / width)));
    table[k] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  return table;
}

/** Paint a slice into `pixels` (Uint32Array of its size), the first row being the top of the picture. */
export function paint(volume, plane, index, table, pixels) {
  const { hu, depth, height, width } = volume;
  if (plane.axis === 0) {
    const start = index * height * width;
    for (let k = 0; k < height * width; k += 1) pixels[k] = table[hu[start + k] + 1024];
    return;
  }
  const across = volume.size[plane.across];
  const [start, step] = plane.axis === 1 ? [index * width, 1] : [index, width];
  for (let z = 0; z < depth; z += 1) {
    let from = z * height * width + start;
    let to = (depth - 1 - z) * across;
    for (let k = 0; k < across; k += 1, from += step, to += 1) pixels[to] = table[hu[from] + 1024];
  }
}
