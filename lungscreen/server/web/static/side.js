// What was found in a scan, beside the pictures.

import { ROOT } from "./api.js";
import { element, percent } from "./dom.js";

const NAMES = {
  mean_diameter_mm: ["Mean diameter", "mm", 1], long_axis_mm: ["Long axis", "mm", 1], short_axis_mm: ["Short axis", "mm", 1],
  volume_mm3: ["Volume", "mm³", 0], type: ["Type", "", 0], hu_mean: ["Density", "HU", 0], calcification_pattern: ["Calcification", "", 0],
  pleura_mm: ["To the pleura", "mm", 0], brock_2b: ["Brock model 2b", "%", 1],
};
// Doubling in over ten years is none.
const NO_GROWTH_DAYS = 3650;

const title = (text) => text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");

function facts(nodule) {
  const { measurements, attributes } = nodule;
  const found = [["Chance of cancer", percent(nodule.chance)], ["Suspicious to a reader", percent(nodule.malignancy)], ["Detector's score", percent(nodule.score)]];
  for (const [key, [name, unit, digits]] of Object.entries(NAMES)) {
    const value = measurements[key];
    if (value === undefined || value === null) continue;
    const scaled = unit === "%" ? 100 * value : value;
    found.push([name, typeof value === "string" ? value : `${scaled.toFixed(digits)} ${unit}`]);
  }
  if (measurements.lung_rads) found.push([`Lung-RADS v2022, ${measurements.change ? "later" : "first"} CT`, measurements.lung_rads]);
  found.push(...since(measurements));
  for (const key of ["spiculation", "texture", "lobulation", "margin"]) {
    if (attributes[key] !== undefined) found.push([`${title(key)} (LIDC scale)`, attributes[key].toFixed(1)]);
  }
  found.push(["Place, LPS", `${nodule.center_mm.map((value) => value.toFixed(1)).join(", ")} mm`]);
  return element("dl", {}, ...found.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

// A time that JSON cannot write is endless.
const days = (value) => (value !== null && value < NO_GROWTH_DAYS ? `${value.toFixed(0)} days` : "no growth");

/** Volume doubling time in words; empty where it is not known. */
function doubling(measurements) {
  const time = measurements.doubling_days;
  if (time === undefined) return "";
  return time !== null && time <= 0 ? "no growth" : days(time);
}

/** What became of a nodule since the earlier scan. */
function since(measurements) {
  const { change, prior_mean_diameter_mm: mean, prior_volume_mm3: volume, doubling_days_low: low, doubling_days_high: high } = measurements;
  if (!change) return [];
  if (change === "new") return [["Since the earlier scan", "new: not found there"]];
  const found = [["Since the earlier scan", change], ["It was", `mean ${mean.toFixed(1)} mm, ${volume.toFixed(0)} mm³`]];
  const time = doubling(measurements);
  if (time) found.push(["Volume doubling time", `${time} (${days(low)} to ${days(high)})`]);
  return found;
}

const where = ({ measurements: { side, zone } }) => (side && side !== "unknown" ? `${side} ${zone ?? ""}`.trim() : "");

/** Fill the side: `scan` of the result, `choose` is called with a nodule. Returns a function that marks the chosen one. */
export function fillSide(side, caseId, scans, scan, files, choose) {
  const details = element("div", { "aria-live": "polite" });
  const followed = scan.nodules.some((nodule) => nodule.measurements.change);
  const rows = new Map(scan.nodules.map((nodule) => [nodule.rank, row(nodule, choose, followed)]));
  const probability = scan.cancer_probability;
  const others = scans.filter((other) => other.page);
  side.replaceChildren(...[
    element("p", { class: "soft small" }, "Patient"),
    element("p", { id: "patient" }, element("strong", {}, scan.patient_id)),
    others.length > 1 ? chooser(caseId, others, scan) : null,
    element("p", { class: "soft small" }, "Lung cancer within a year"),
    element("p", { class: "big" }, probability === null ? "none" : percent(probability)),
    range(scan),
    element("p", { class: "soft small" }, scan.calibration ? `Calibrated (${scan.calibration}).` : "Not calibrated for a population: for ranking."),
    element("h2", { id: "nodules-title" }, scan.nodules.length ? `Nodules (${scan.nodules.length})` : "No nodules"),
    scan.nodules.length ? table(rows, followed) : null,
    details,
    scan.warnings.length ? element("h2", {}, "Warnings") : null,
    element("ul", { class: "warnings" }, ...scan.warnings.map((text) => element("li", {}, text))),
    element("h2", {}, "Files"),
    element("ul", {}, ...links(caseId, scan, files)),
  ].filter((part) => part !== null));
  return (rank) => {
    for (const [known, made] of rows) made.classList.toggle("chosen", known === rank);
    const nodule = scan.nodules.find((found) => found.rank === rank);
    details.replaceChildren(...(nodule ? [element("h2", {}, `Nodule ${rank}`), facts(nodule)] : []));
  };
}

/** The range of the network and its fold networks; older results have none. */
function range({ cancer_least: least, cancer_most: most }) {
  if (typeof least !== "number" || typeof most !== "number") return null;
  return element("p", { id: "range" }, `${percent(least)} to ${percent(most)} `,
    element("span", { class: "soft small" }, "by networks that learnt from other patients: how far the answer depends on whom one learns from. Not a confidence interval."));
}

/** Of the table; what became of a nodule stands in the place of the risk without it. */
function row(nodule, choose, followed) {
  const { measurements } = nodule;
  const last = followed ? [element("td", {}, measurements.change ?? ""), element("td", { class: "r" }, doubling(measurements))] : [element("td", { class: "r" }, percent(nodule.risk_without))];
  return element("tr", { "data-rank": nodule.rank, onclick: () => choose(nodule) },
    element("td", {}, element("button", { type: "button", class: "rank", "aria-label": `Go to nodule ${nodule.rank}` }, String(nodule.rank))),
    element("td", {}, where(nodule)),
    element("td", { class: "r" }, nodule.diameter_mm === null ? "" : nodule.diameter_mm.toFixed(1)),
    element("td", { class: "r" }, percent(nodule.chance)),
    ...last);
}

function table(rows, followed) {
  const last = followed ? [["Change", ""], ["Doubles in", "r"]] : [["Risk without", "r"]];
  const heads = [["", ""], ["Place", ""], ["mm", "r"], ["Cancer", "r"], ...last];
  return element("table", { "aria-labelledby": "nodules-title" },
    element("thead", {}, element("tr", {}, ...heads.map(([text, kind]) => (text ? element("th", { scope: "col", class: kind }, text) : element("td", {}))))),
    element("tbody", {}, ...rows.values()));
}

function chooser(caseId, scans, scan) {
  const select = element("select", { "aria-label": "Scan", onchange: () => location.assign(`/viewer?case=${caseId}&scan=${select.value}`) },
    ...scans.map((other) => element("option", { value: other.page, selected: other.page === scan.page }, `${other.patient_id} ${other.study_date} …${other.series_uid.slice(-10)}`)));
  return element("p", {}, select);
}

function links(caseId, scan, files) {
  const ours = ({ name }) => !name.includes("/") || name === scan.report || name.startsWith(`dicom/${scan.page}`);
  const words = (name) => {
    if (name === scan.report) return "Report";
    if (name.endsWith("_seg.dcm")) return "DICOM segmentation (SEG)";
    return name.endsWith("_sr.dcm") ? "DICOM structured report (SR)" : name;
  };
  return files.filter(ours).map(({ name }) => element("li", {}, element("a", { href: `${ROOT}/cases/${caseId}/files/${name}` }, words(name))));
}
