"""Places in the held-out chests that look like nodules and that nobody annotated: neither found nor false.

Chosen by eye among the best answers of the detectors in the bare chests. CCMD-P001 has pneumonia, dozens of opacities
that nobody marked: no answer in it can be called false, and so it is no chest of the benches.
"""

from __future__ import annotations

Place = tuple[tuple[float, float, float], float]

# Patient to centres (world LPS mm) and diameters of balls: below the front pleura, and a round shadow at a vessel.
SUSPECTED: dict[str, tuple[Place, ...]] = {
    "CCMD-normal001": (((-54.3, -211.5, -174.4), 8.0), ((-38.4, -125.7, -192.7), 10.0)),
}
