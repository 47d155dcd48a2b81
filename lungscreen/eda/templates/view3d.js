"use strict";
(() => {
  const scenes = JSON.parse(document.getElementById("scenes").textContent);
  const canvas = document.getElementById("view3d");
  const said = document.getElementById("view3d-said");
  const chooser = document.getElementById("view3d-scene");
  if (!canvas || !scenes.length) return;
  const pen = canvas.getContext("2d");
  let scene, points, turn = 0.5, tilt = 0.2, zoom = 1, grabbed = null, hits = [];

  const unpacked = (text) => {
    const raw = atob(text), bytes = new Int8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  };
  // Malignancy 1 to 5: from green over amber to red; without one: grey.
  const colour = (grade) => grade === null ? "rgb(150,160,170)" : `hsl(${Math.round(140 - 35 * (grade - 1))},75%,48%)`;

  const choose = (index) => {
    scene = scenes[index];
    points = unpacked(scene.lungs);
    said.textContent = "";
    draw();
  };

  // World: x to the patient's left, y to the back, z to the head. On the screen: x right, y down, depth away.
  const project = (x, y, z, size) => {
    const ct = Math.cos(turn), st = Math.sin(turn), cp = Math.cos(tilt), sp = Math.sin(tilt);
    const across = ct * x - st * y, away = st * x + ct * y;
    return [size.x + size.scale * across, size.y - size.scale * (cp * z + sp * away), cp * away - sp * z];
  };

  const draw = () => {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * ratio; canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#0b0f14"; pen.fillRect(0, 0, width, height);
    const [hx, hy, hz] = scene.half_mm;
    const size = { x: width / 2, y: height / 2, scale: zoom * 0.46 * Math.min(width / Math.hypot(hx, hy), height / hz * 0.92) };
    box(size, hx, hy, hz);
    lungs(size, hx, hy, hz);
    nodules(size);
    letters(size, hx, hy, hz);
  };

  const box = (size, hx, hy, hz) => {
    pen.strokeStyle = "rgba(140,155,170,.35)"; pen.lineWidth = 1; pen.beginPath();
    for (let a = 0; a < 8; a++) for (const bit of [1, 2, 4]) if (!(a & bit)) {
      for (const corner of [a, a | bit]) {
        const [x, y] = project(corner & 1 ? hx : -hx, corner & 2 ? hy : -hy, corner & 4 ? hz : -hz, size);
        corner === a ? pen.moveTo(x, y) : pen.lineTo(x, y);
      }
    }
    pen.stroke();
  };

  const lungs = (size, hx, hy, hz) => {
    const ct = Math.cos(turn), st = Math.sin(turn), cp = Math.cos(tilt), sp = Math.sin(tilt);
    const dot = Math.max(2, 2.6 * size.scale);
    // Glass: seen where the surface turns away from the eye.
    for (const band of [0, 1, 2, 3, 4]) {
      pen.fillStyle = `rgba(120,200,215,${[0.05, 0.08, 0.13, 0.22, 0.36][band]})`;
      for (let i = 0; i < points.length; i += 6) {
        const nx = points[i + 3] / 127, ny = points[i + 4] / 127, nz = points[i + 5] / 127;
        const facing = Math.abs(cp * (st * nx + ct * ny) - sp * nz);
        if (Math.min(4, Math.floor((1 - facing) * 5)) !== band) continue;
        const [x, y] = project(points[i] / 127 * hx, points[i + 1] / 127 * hy, points[i + 2] / 127 * hz, size);
        pen.fillRect(x - dot / 2, y - dot / 2, dot, dot);
      }
    }
  };

  const nodules = (size) => {
    hits = scene.nodules.map(([x, y, z, radius, grade, words]) => {
      const [sx, sy, depth] = project(x, y, z, size);
      return { x: sx, y: sy, depth, r: Math.max(2.5, radius * size.scale), grade, words };
    }).sort((a, b) => b.depth - a.depth);
    const many = hits.length > 200;
    for (const { x, y, r, grade } of hits) {
      pen.globalAlpha = many ? 0.6 : 1;
      pen.fillStyle = colour(grade);
      pen.beginPath(); pen.arc(x, y, r, 0, 2 * Math.PI); pen.fill();
      if (!many) {
        pen.fillStyle = "rgba(255,255,255,.35)";
        pen.beginPath(); pen.arc(x - r * 0.3, y - r * 0.3, r * 0.35, 0, 2 * Math.PI); pen.fill();
      }
    }
    pen.globalAlpha = 1;
  };

  const letters = (size, hx, hy, hz) => {
    pen.fillStyle = "#e7ecf1"; pen.font = "600 13px system-ui, sans-serif"; pen.textAlign = "center"; pen.textBaseline = "middle";
    const ends = [["R", -1, 0, 0], ["L", 1, 0, 0], ["A", 0, -1, 0], ["P", 0, 1, 0], ["F", 0, 0, -1], ["H", 0, 0, 1]];
    for (const [letter, a, b, c] of ends) {
      const [x, y] = project(a * (hx + 14), b * (hy + 14), c * (hz + 14), size);
      pen.fillText(letter, x, y);
    }
  };

  const tell = (event) => {
    const at = canvas.getBoundingClientRect(), x = event.clientX - at.left, y = event.clientY - at.top;
    const hit = [...hits].reverse().find((h) => Math.hypot(h.x - x, h.y - y) <= h.r + 2);
    said.textContent = hit ? hit.words : "";
  };
  canvas.addEventListener("pointerdown", (event) => { grabbed = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { grabbed = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (!grabbed) { tell(event); return; }
    turn += (event.clientX - grabbed[0]) / 120;
    tilt = Math.max(-1.57, Math.min(1.57, tilt + (event.clientY - grabbed[1]) / 120));
    grabbed = [event.clientX, event.clientY];
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom = Math.max(0.5, Math.min(8, zoom * Math.exp(-event.deltaY / 600)));
    draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (step) { turn += step[0]; tilt = Math.max(-1.57, Math.min(1.57, tilt + step[1])); }
    else if (event.key === "+") zoom = Math.min(8, zoom * 1.15);
    else if (event.key === "-") zoom = Math.max(0.5, zoom / 1.15);
    else return;
    event.preventDefault();
    draw();
  });
  if (chooser) chooser.addEventListener("change", () => choose(Number(chooser.value)));
  window.addEventListener("resize", draw);
  window.addEventListener("beforeprint", draw);
  choose(0);
})();
