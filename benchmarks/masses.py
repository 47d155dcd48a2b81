"""`python -m benchmarks.masses WEIGHTS...`: masses of 30 to 100 mm in held-out chests, found, ranked and measured.

36 scans with one mass each: at the wall, at the hilum and free in the lung, in four sizes; solid, necrotic,
spiculated or with collapsed lung behind. They are put into the volume and go through the product's own preparation, so
that a mass may fall out of the lung mask as it may in life.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.held_out.acquired import acquire, draw_acquisition
from benchmarks.held_out.chests import load_chests
from benchmarks.held_out.grown import KINDS, PLACES, SIZES_MM, Mass, grow, large_outlines, room_of
from benchmarks.held_out.making import ahead, arguments
from benchmarks.held_out.pictures import Album, lies_in
from detection.candidate import Candidate
from detection.detector import load_detector
from preprocessing.annotations import Nodule
from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan, prepare
from runs.bootstrap import clopper_pearson
from runs.seeds import stream
from runs.writing import write_json

# Raised when the same seed begins to give other scans or another way to count.
BENCH_VERSION = 1
SCANS = 36
BEST = 3
CLOSE = 0.25
THICKNESSES_MM = (1.0, 2.5, 5.0)


@dataclass(frozen=True, slots=True, eq=False)
class MassScan:
    """A scan with one mass.

    Attributes:
        prepared: by the product.
        mass: on the chest's grid.
        geometry: of that grid.
        thickness_mm: of the slices.
        in_mask: share of the mass that the preparation's lung mask holds.
        known: findings that the chest came with.
    """

    prepared: PreparedScan
    mass: Mass
    geometry: Geometry
    thickness_mm: float
    in_mask: float
    known: tuple[Nodule, ...]

    @property
    def nodule(self) -> Nodule:
        """The mass as truth."""
        x, y, z = self.geometry.to_world(self.mass.center_zyx).tolist()
        return Nodule(self.prepared.volume.series_uid, (x, y, z), self.mass.diameter_mm)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a mass.

    Attributes:
        rank: of the best candidate whose centre lies in it, 1 the scan's best; 0 when there is none.
        diameter_mm: that candidate finds; 0 without one.
        measured: whether one of the three best lies in it with a diameter within 25 %.
        listed: candidates with the centre in it.
    """

    rank: int
    diameter_mm: float
    measured: bool
    listed: int


def main() -> None:
    """Print the tables, and write figures and pictures when asked to."""
    args = arguments("python -m benchmarks.masses", __doc__, SCANS)
    detectors = {name: load_detector(name) for name in args.weights}
    answers: dict[str, list[Answer]] = {name: [] for name in detectors}
    albums = {name: Album(args.pictures) for name in detectors}
    scans = []
    for scan in tqdm(ahead(made(args.data, args.seed), args.scans), "masses", args.scans):
        scans.append((scan.mass, scan.thickness_mm, scan.in_mask))
        label = f"{scan.prepared.volume.series_uid}-{scan.mass.place}-{scan.mass.kind}"
        for name, detector in detectors.items():
            candidates = detector.detect(scan.prepared)
            answers[name].append(judged(scan.mass, scan.geometry, candidates, scan.known))
            albums[name].look(scan.prepared, [scan.nodule], scan.known, candidates, label)
    report(scans, answers, albums, args.seed, args.out)


def made(data: Path, seed: int) -> Callable[[int], MassScan]:
    """What makes and prepares scan number k: places, sizes, kinds and chests in turn, so that all meet all."""
    rooms = [room_of(chest) for chest in load_chests(data)]
    outlines = large_outlines()

    def make(index: int) -> MassScan:
        rng = stream("benchmarks.masses.scan", seed, index)
        place = PLACES[index % len(PLACES)]
        low, high = SIZES_MM[index // len(PLACES) % len(SIZES_MM)]
        kind = KINDS[(index + index // (len(PLACES) * len(SIZES_MM))) % len(KINDS)]
        room = rooms[index % len(rooms)]
        chest = room.chest
        hu = chest.hu.astype(np.float32)
        mass = grow(hu, room, place, kind, float(rng.uniform(low, high)), outlines, rng)
        how = draw_acquisition(rng, float(rng.choice(THICKNESSES_MM)), "inspiration")
        volume = acquire(hu, chest.lungs, chest.lung_hu, chest.geometry, how, rng, f"mass-{seed}-{index}")
        prepared = prepare(volume)
        held = in_mask(mass, chest.geometry, prepared)
        return MassScan(prepared, mass, chest.geometry, how.thickness_mm, held, chest.known)

    return make


def in_mask(mass: Mass, geometry: Geometry, prepared: PreparedScan) -> float:
    """Share of the mass that the lung mask holds."""
    spots = np.argwhere(mass.inside)[::5] + mass.start_zyx
    at = np.rint(prepared.volume.geometry.to_voxel(geometry.to_world(spots))).astype(int)
    there = np.all((at >= 0) & (at < prepared.lung_mask.shape), axis=1)
    return float(prepared.lung_mask[tuple(at[there].T)].sum() / len(spots))


def judged(mass: Mass, geometry: Geometry, candidates: Sequence[Candidate], known: Sequence[Nodule]) -> Answer:
    """Candidates, best first, held against the mass; those on known findings take no rank."""
    hits = [mass.holds(geometry.to_voxel(c.center_mm)) for c in candidates]
    ranked = [
        (c, hit) for c, hit in zip(candidates, hits, strict=True) if hit or not any(lies_in(c, n) for n in known)
    ]
    inside = [k for k, (_, hit) in enumerate(ranked) if hit]
    if not inside:
        return Answer(0, 0.0, False, 0)
    close = [k for k in inside if abs(ranked[k][0].diameter_mm / mass.diameter_mm - 1) <= CLOSE]
    first = inside[0]
    return Answer(first + 1, ranked[first][0].diameter_mm, any(k < BEST for k in close), len(inside))


def report(
    scans: Sequence[tuple[Mass, float, float]],
    answers: dict[str, list[Answer]],
    albums: dict[str, Album],
    seed: int,
    out: Path | None,
) -> dict[str, Any]:
    """Tables on the screen; the same figures as a dictionary, and in `out`."""
    print(f"mass-bench version {BENCH_VERSION}, seed {seed}: {len(scans)} masses, exact 95 % intervals")
    share = [s[2] for s in scans]
    print(f"lung mask holds at least half of {sum(s >= 0.5 for s in share)} masses (least {min(share):.2f})")
    groups = grouped(scans)
    told: dict[str, Any] = {"bench": "masses", "version": BENCH_VERSION, "seed": seed, "n": len(scans)}
    for name, given in answers.items():
        told[name] = figures = {}
        print(f"\n{name:22}{'three best, size right':26}{'three best':24}{'found at all':24}   n")
        for group, members in groups.items():
            chosen = [given[k] for k in members]
            figures[group] = row = {
                "three_best_and_diameter": _share([a.measured for a in chosen]),
                "three_best": _share([0 < a.rank <= BEST for a in chosen]),
                "found": _share([a.rank > 0 for a in chosen]),
                "n": len(chosen),
            }
            cells = [f"{v:.3f} ({low:.3f}-{high:.3f})" for v, low, high in list(row.values())[:3]]
            print(f"{group:22}{cells[0]:26}{cells[1]:24}{cells[2]:24}{len(chosen):4}")
        figures["masses"] = [
            {
                "diameter_mm": round(m.diameter_mm, 1), "place": m.place, "kind": m.kind, "origin": m.origin,
                "slices_mm": t, "in_mask": round(s, 3), "rank": a.rank, "diameter_found_mm": round(a.diameter_mm, 1),
                "candidates_in_it": a.listed,
            }
            for (m, t, s), a in zip(scans, given, strict=True)
        ]  # fmt: skip
        albums[name].write(f"masses-{Path(name).name}")
    if out:
        write_json(out, told)
    return told


def grouped(scans: Sequence[tuple[Mass, float, float]]) -> dict[str, list[int]]:
    """Indices of the masses by size, place, kind, origin and slices."""
    groups: dict[str, list[int]] = {"all": list(range(len(scans)))}
    for k, (mass, thickness, _) in enumerate(scans):
        size = next(f"{low:g}-{high:g} mm" for low, high in SIZES if low <= mass.diameter_mm < high)
        for name in (size, mass.place, mass.kind, mass.origin, f"slices {thickness:g} mm"):
            groups.setdefault(name, []).append(k)
    return dict(sorted(groups.items(), key=lambda item: (item[0] != "all", not item[0][0].isdigit(), item[0])))


# What a small lung holds may fall short of the least size.
SIZES = ((0.0, 30.0), *SIZES_MM, (100.0, np.inf))


def _share(hits: Sequence[bool]) -> tuple[float, float, float]:
    estimate = clopper_pearson(sum(hits), len(hits))
    return round(estimate.value, 4), round(estimate.low, 4), round(estimate.high, 4)


if __name__ == "__main__":
    main()
