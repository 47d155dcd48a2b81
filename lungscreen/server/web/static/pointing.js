// What mouse, pen, finger and wheel do on a pane.

export const TOOLS = { cross: "Cross-hair", window: "Window", pan: "Pan", measure: "Measure" };
// Hounsfield units a pixel of dragging.
const HU_A_PIXEL = 2;

/** Listen on the canvas of a pane. */
export function attach(pane, view) {
  const { canvas } = pane;
  let drag = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => view.enlarge(pane));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) pane.zoomAt(event.deltaY < 0 ? 1.15 : 1 / 1.15, place(event));
    else view.step(pane, event.deltaY < 0 ? 1 : -1);
    view.redraw();
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    drag = { tool: toolOf(event, view.tool), last: place(event) };
    if (drag.tool === "measure") drag.ruler = view.startRuler(pane, pane.toVoxel(drag.last));
    if (drag.tool === "cross") view.goTo(pane.led(pane.toVoxel(drag.last)));
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = place(event);
    view.point(pane, pane.toVoxel(here));
    if (!drag) return;
    const [dx, dy] = [here[0] - drag.last[0], here[1] - drag.last[1]];
    drag.last = here;
    if (drag.tool === "window") view.setWindow(view.level - HU_A_PIXEL * dy, view.width + HU_A_PIXEL * dx);
    else if (drag.tool === "pan") { pane.pan[0] += dx; pane.pan[1] += dy; }
    else if (drag.tool === "measure") drag.ruler.to = pane.toVoxel(here);
    else view.goTo(pane.led(pane.toVoxel(here)));
    view.redraw();
  });
  const end = () => {
    if (drag?.ruler) view.endRuler(drag.ruler);
    drag = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

function toolOf(event, chosen) {
  if (event.button === 2) return "window";
  if (event.button === 1 || event.shiftKey) return "pan";
  return chosen;
}
