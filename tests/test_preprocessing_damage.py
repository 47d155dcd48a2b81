"""Every kind of damage ends in its stated reason or its stated repair, on a synthetic and on a real series."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from phantom.make import make_cohort
from preprocessing.intake.find import find_scans
from preprocessing.intake.scan import Scan, ScanError
from preprocessing.intake.volume_reader import read_volume
from preprocessing.volume import Volume
from tests.damage import READ, Kind
from tests.damage_headers import HEADER_KINDS
from tests.damage_images import IMAGE_KINDS
from tests.damage_kinds import KINDS
from tests.series import PATIENT_ID, PATIENT_NAME, chest, write_series

DICOM_KINDS = [*KINDS, *HEADER_KINDS]
REAL = Path(__file__).parents[2] / "shared/data/lidc_scans/LIDC-IDRI-0003"


@pytest.fixture(scope="module")
def synthetic_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("synthetic") / "series")


@pytest.fixture(scope="module")
def real_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 slices through the lungs of a real scan, under the odd name and ID."""
    if not REAL.is_dir():
        pytest.skip("shared/data/lidc_scans is not there")
    return lung_slices(find_scans(REAL)[0], tmp_path_factory.mktemp("real") / "series")


@pytest.fixture(scope="module")
def phantom_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a simulated patient."""
    folder = tmp_path_factory.mktemp("phantom")
    (found,) = find_scans(make_cohort(folder / "cohort", patients=1, seed=0) / "dicom")
    return lung_slices(found, folder / "series")


def lung_slices(scan: Scan, folder: Path) -> Path:
    folder.mkdir()
    middle = len(scan.paths) // 2
    for k, path in enumerate(scan.paths[middle : middle + 14]):
        dataset = dcmread(path)
        dataset.PatientName, dataset.PatientID = PATIENT_NAME, PATIENT_ID
        dataset.save_as(folder / f"{k:04d}.dcm")
    return folder


def outcomes(source: Path) -> tuple[list[str], list[Volume], list[Scan], list[str]]:
    """What came of every scan under `source`: outcome words, the volumes, the scans, and everything that was said."""
    words, volumes, scans, said = [], [], find_scans(source), []
    for scan in scans:
        said += [scan.detail, *scan.warnings]
        try:
            volumes.append(read_volume(scan))
            words.append(READ)
        except ScanError as error:
            said += [str(error), repr(error)]
            words.append(str(error.reason))
    return sorted(words), volumes, scans, said


def agree(volume: Volume, truth: Volume) -> float:
    """Share of random voxels of `volume` whose world point holds the same HU in `truth`; 0 when it lies elsewhere."""
    if not np.allclose(sorted(volume.geometry.spacing_mm), sorted(truth.geometry.spacing_mm), atol=1e-3):
        return 0
    index = np.random.default_rng(0).integers(0, volume.hu.shape, (20_000, 3))
    there = truth.geometry.to_voxel(volume.geometry.to_world(index))
    nearest = np.rint(there).astype(int)
    outside = (nearest < 0).any() or (nearest >= truth.hu.shape).any()
    if outside or np.abs(there - nearest).max() > 1e-3:
        return 0
    return float((truth.hu[tuple(nearest.T)] == volume.hu[tuple(index.T)]).mean())


def check(kind: Kind, folder: Path, truth: Volume, share: float, heard: Callable[[], str]) -> None:
    words, volumes, scans, said = outcomes(kind.apply(folder))
    assert words == sorted(str(word) for word in kind.expect), [s.detail for s in scans]
    codes = {w.split(":")[0] for s in scans if s.refused is None for w in s.warnings}
    if READ in words:
        assert codes == set(kind.warns)
        assert not kind.in_place or max(agree(v, truth) for v in volumes) >= share
        assert not kind.whole or max(v.hu.shape for v in volumes) == truth.hu.shape
    for secret in (*PATIENT_NAME.split("^"), PATIENT_ID, "Traceback"):
        assert secret not in "\n".join(said) + heard()


@pytest.fixture
def heard(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> Callable[[], str]:
    """All that went to logs, standard streams and Python warnings so far."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr()) + "".join(str(w.message) for w in recwarn)


def test_kinds_are_many_and_each_is_one() -> None:
    names = [kind.name for kind in (*DICOM_KINDS, *IMAGE_KINDS)]
    assert len(set(names)) == len(names) >= 160


@pytest.mark.parametrize("kind", [*DICOM_KINDS, *IMAGE_KINDS], ids=lambda kind: kind.name)
def test_synthetic(kind: Kind, synthetic_series: Path, tmp_path: Path, heard: Callable[[], str]) -> None:
    folder = Path(shutil.copytree(synthetic_series, tmp_path / "series"))
    check(kind, folder, chest(), 1.0, heard)


@pytest.mark.slow
@pytest.mark.parametrize("series", ["real_series", "phantom_series"])
@pytest.mark.parametrize("kind", [k for k in DICOM_KINDS if not k.synthetic_only], ids=lambda kind: kind.name)
def test_real_and_phantom(
    kind: Kind, series: str, request: pytest.FixtureRequest, tmp_path: Path, heard: Callable[[], str]
) -> None:
    sound: Path = request.getfixturevalue(series)
    folder = Path(shutil.copytree(sound, tmp_path / "series"))
    # An interpolated slice is not the lost one: of 14 slices two may differ.
    check(kind, folder, read_volume(find_scans(sound)[0]), 0.85, heard)
