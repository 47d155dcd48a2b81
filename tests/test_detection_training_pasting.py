"""What is pasted: masses of the wanted sizes, ground glass that leaves lung in, nothing taught that none can see."""

from dataclasses import replace

import numpy as np
import pytest

from detection.training.pasting import AERATED_MASS, Canvas, Pasting
from detection.training.sampling import HybridPatches, halved, standing_out
from detection.training.settings import SamplingSettings
from detection.training.spheres import spheres
from runs.entry import UsageError
from tests.patches import SMALL, crop, host, lung

PLAIN = replace(SMALL, thick_share=0.0, dense_share=0.0, large_share=0.0, slabs=0.0)


def canvas(size: int = 64) -> Canvas:
    return Canvas(lung(size), np.ones((size,) * 3, bool), spheres(), spheres(), np.zeros((size,) * 3, bool))


def pasted(settings: SamplingSettings, times: int, step: int = 1) -> list[Canvas]:
    chest = host() if step == 1 else halved(host(), 1.0)
    pasting = Pasting([host(), chest], [crop(6), crop(10), crop(14)], [], settings)
    rng, made = np.random.default_rng(3), []
    for _ in range(times):
        made.append(canvas())
        pasting.add_crops(made[-1], chest, rng)
    return made


def test_masses_have_the_wanted_sizes() -> None:
    made = pasted(replace(PLAIN, nodules=2.0, tissue=0.0, masses_mm=(24.0, 60.0)), 60, step=2)
    # In voxels of 2 mm, and a turn scales by 0.85 to 1.18; a crop of 14 grows to 30.8 at most.
    sizes = np.concatenate([c.nodules[:, 3] for c in made])
    assert len(sizes) > 40
    assert 12 * 0.85 <= sizes.min() < 14
    assert 27 < sizes.max() <= 30 * 1.18


def test_a_mass_may_lie_where_most_is_no_lung_and_a_nodule_may_not() -> None:
    found = {}
    for step in (1, 2):
        settings = replace(PLAIN, nodules=3.0, tissue=0.0, masses_mm=(24.0, 28.0))
        chest = host() if step == 1 else halved(host(), 1.0)
        pasting, rng = Pasting([host(), chest], [crop(14)], [], settings), np.random.default_rng(0)
        found[step] = 0
        for _ in range(20):
            patch = canvas()
            # A wall that leaves strips of lung, a fifth of the whole.
            patch.hu[:, np.arange(64) % 10 < 8] = 40.0
            pasting.add_crops(patch, chest, rng)
            found[step] += len(patch.nodules)
    assert AERATED_MASS < 0.2 < 0.3
    assert found[1] == 0
    assert found[2] > 10


def test_ground_glass_is_denser_than_lung_and_never_solid() -> None:
    solid = pasted(replace(PLAIN, nodules=1.0, tissue=0.0, ground_glass=0.0), 40)
    glass = pasted(replace(PLAIN, nodules=1.0, tissue=0.0, ground_glass=1.0), 40)
    seen = 0
    for patches, least, most in ((solid, -20, 31), (glass, -850 + 0.24 * 880, -850 + 0.56 * 880)):
        for patch in patches:
            for z, y, x, _ in patch.nodules:
                at = tuple(int(v) for v in np.rint((z, y, x)))
                if all(2 < v < 61 for v in at):
                    seen += 1
                    assert least <= patch.hu[at] <= most
    assert seen > 40


def test_by_how_much_a_nodule_stands_out() -> None:
    hu = lung(32)
    hu[10:15, 10:15, 10:15] = -600
    lungs = np.ones(hu.shape, bool)
    nodules = spheres([(12, 12, 12, 4), (25, 25, 25, 4), (0, 0, 0, 6)])
    assert standing_out(hu, lungs, nodules).tolist() == [250.0, 0.0, 0.0]
    assert np.isinf(standing_out(hu, np.zeros_like(lungs), nodules)).all()
    assert len(standing_out(hu, lungs, spheres())) == 0


def test_what_the_slices_dilute_teaches_nothing() -> None:
    """A nodule at -780 HU, in the noise that comes after: taught without a limit, ignored with one of 250 HU."""
    chest = host()
    dim = crop(6)
    hu = np.where(dim.outline.hu > -840, -780.0, dim.outline.hu).astype(np.float32)
    faint = replace(dim, outline=replace(dim.outline, hu=hu))
    settings = replace(PLAIN, nodules=2.0, tissue=0.0, cubes=0.0)
    counts = []
    for limit in (0.0, 250.0):
        data = HybridPatches([chest], [faint], [], replace(settings, faint_hu=limit), 0)
        marks = [data[k] for k in range(12)]
        counts.append((sum(len(p.nodules) for p in marks), sum(len(p.ignored) for p in marks)))
    (taught, few), (none, ignored) = counts
    assert none == 0
    assert taught > 6
    # Marks that are cut by the border are ignored either way.
    assert ignored == taught + few


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"masses_mm": (10.0, 60.0)}, "sampling.masses_mm"),
        ({"masses_mm": (60.0, 30.0)}, "sampling.masses_mm"),
        ({"ground_glass": 1.5}, "sampling.ground_glass"),
        ({"thick_share": -0.1}, "sampling.thick_share"),
        ({"faint_hu": -1.0}, "sampling.faint_hu"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replace(SMALL, **changes)
