// The keyboard.

import { byId } from "./dom.js";
import { TOOLS } from "./pointing.js";

/** Listen for keys: the plane with the focus is meant, else the large one. */
export function listen(view, presets) {
  const active = () => view.panes.find((pane) => pane.canvas === document.activeElement) ?? view.large;
  const middle = (pane) => [pane.canvas.width / 2, pane.canvas.height / 2];
  const zoom = (factor) => { active().zoomAt(factor, middle(active())); view.redraw(); };
  const actions = {
    ArrowUp: () => view.step(active(), 1),
    ArrowDown: () => view.step(active(), -1),
    PageUp: () => view.step(active(), 10),
    PageDown: () => view.step(active(), -10),
    Home: () => view.step(active(), -active().count),
    End: () => view.step(active(), active().count),
    "+": () => zoom(1.25),
    "=": () => zoom(1.25),
    "-": () => zoom(1 / 1.25),
    n: () => view.next(1),
    N: () => view.next(-1),
    b: () => view.toggle("boxes"),
    h: () => view.toggleHeat(),
    e: () => view.togglePrior(),
    x: () => view.toggle("cross"),
    r: () => view.reset(),
    v: () => view.enlarge(view.panes[(view.panes.indexOf(view.large) + 1) % view.panes.length]),
    Escape: () => view.clearRulers(),
    "?": () => byId("keys").showModal(),
  };
  for (const name of Object.keys(TOOLS)) actions[name[0]] = () => view.setTool(name);
  presets.forEach(([, level, width], k) => { actions[String(k + 1)] = () => view.setWindow(level, width); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, select, dialog *");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
}
