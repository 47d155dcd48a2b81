"""Mutated headers end in a reason, or in slices and grids that can be: LUNGSCREEN_FUZZ says how many are tried.

A million (about 15 minutes of one core) were run by hand; `make test-slow` tries fewer.
"""

from __future__ import annotations

import gzip
import math
import os
import random
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from preprocessing.intake.formats.affine import geometry_of
from preprocessing.intake.headers import Slice, quiet_pydicom, read_header, slices_of
from preprocessing.intake.images import READERS, check_image
from preprocessing.intake.scan import Reason, ScanError
from preprocessing.intake.series.acquisitions import parts_of
from preprocessing.intake.series.collected import Series
from preprocessing.intake.series.told import told_by
from preprocessing.intake.stack import stack_of
from preprocessing.intake.tags import MAX_INTERCEPT, MAX_SLOPE
from tests import fuzz_headers as fuzz
from tests.series import chest, slice_files, write_enhanced, write_series

TRIES = int(os.environ.get("LUNGSCREEN_FUZZ", "100000"))
# Shares of the tries; elements of classic headers cost least.
CLASSIC, ENHANCED, BYTES, IMAGES, STACKS = 0.71, 0.005, 0.1, 0.175, 0.01
pytestmark = pytest.mark.slow


def sound(image: Slice) -> None:
    """What every slice must be that a header passes for."""
    if image.localiser:
        return
    numbers = (*image.spacing_mm, *image.position_mm, *image.orientation, image.slope, image.intercept)
    assert all(math.isfinite(n) for n in numbers)
    assert min(image.spacing_mm) > 0
    assert min(image.shape) >= 2
    assert 0 < image.slope <= MAX_SLOPE
    assert abs(image.intercept) <= MAX_INTERCEPT
    axes = np.asarray(image.orientation).reshape(2, 3)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=0.011)


def outcome(images: list[Slice]) -> str:
    """Of a series: `read`, or the reason."""
    try:
        for part, _ in parts_of(images):
            stack = stack_of(part)
            geometry = stack.geometry
            assert len(stack.slices) <= geometry.shape_zyx[0] <= 1.5 * len(stack.slices)
            assert np.all(np.isfinite(geometry.origin_mm))
            np.testing.assert_allclose(geometry.direction.T @ geometry.direction, np.eye(3), atol=1e-9)
    except ScanError as error:
        return error.reason
    return "read"


def of_dicom(dataset: object, path: Path) -> str:
    try:
        told = told_by(dataset, path)
    except ScanError as error:
        return error.reason
    Series("x").take(path, told)
    if isinstance(told.found, ScanError):
        return told.found.reason
    for image in told.found:
        sound(image)
    return "read"


def all_named(found: Counter[str], tries: int) -> None:
    """Something was tried, some was read, some refused, and nothing without a reason."""
    assert sum(found.values()) == tries
    assert 0 < found["read"] < tries
    assert Reason.INTERNAL_ERROR not in found


@pytest.mark.parametrize(("kind", "share"), [("classic", CLASSIC), ("enhanced", ENHANCED)])
def test_elements_of_dicom(kind: str, share: float, tmp_path: Path) -> None:
    series = slice_files(write_series(tmp_path / "a"))
    path = series[5] if kind == "classic" else write_enhanced(tmp_path / "enhanced.dcm", chest())
    rng, tries = random.Random(f"elements {kind}"), int(TRIES * share)
    with quiet_pydicom():
        base = fuzz.raw_header(path)
        found = Counter(of_dicom(fuzz.mutated_header(base, rng), path) for _ in range(tries))
    all_named(found, tries)


def test_bytes_of_dicom(tmp_path: Path) -> None:
    content = slice_files(write_series(tmp_path / "a"))[5].read_bytes()
    content = content[: content.rfind(b"\xe0\x7f\x10\x00") + 12]  # the pixels are read later
    rng, tries, found = random.Random("bytes"), int(TRIES * BYTES), Counter[str]()
    path = tmp_path / "a.dcm"
    with quiet_pydicom():
        for _ in range(tries):
            path.write_bytes(fuzz.mutated_bytes(content, rng))
            try:
                dataset = read_header(path)
            except ScanError as error:
                found[error.reason] += 1
                continue
            found["none" if dataset is None else of_dicom(dataset, path)] += 1
    all_named(found, tries)


@pytest.mark.parametrize("ending", [".mhd", ".mha", ".nrrd", ".nii", ".nii.gz"])
def test_headers_of_image_files(ending: str, tmp_path: Path) -> None:
    volume = chest()
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    path = tmp_path / f"ct{ending}"
    sitk.WriteImage(image, str(path))
    content = gzip.decompress(path.read_bytes()) if ending == ".nii.gz" else path.read_bytes()
    text = not ending.startswith(".nii")
    end = (content.find(b"LOCAL") + 6, content.find(b"\n\n") + 2)[ending == ".nrrd"] if text else 352
    head, rest = (content, b"") if ending == ".mhd" else (content[:end], content[end:])
    rng, tries, found = random.Random(ending), int(TRIES * IMAGES / 5), Counter[str]()
    mutate = fuzz.mutated_text if text else fuzz.mutated_nifti
    for _ in range(tries):
        changed = mutate(head, rng) + rest
        path.write_bytes(gzip.compress(changed, 0) if ending == ".nii.gz" else changed)
        try:
            check_image(path)
            stored = READERS[ending](path)
            geometry, _ = geometry_of(stored.affine, stored.size_xyz)
            assert np.all(np.isfinite(geometry.origin_mm))
            np.testing.assert_allclose(geometry.direction.T @ geometry.direction, np.eye(3), atol=1e-9)
            found["read"] += 1
        except ScanError as error:
            found[error.reason] += 1
    all_named(found, tries)


def test_geometry_of_stacks(tmp_path: Path) -> None:
    """Slices whose headers pass, with places, directions and marks of others: one to all of them."""
    rng, tries = random.Random("stacks"), int(TRIES * STACKS)
    folder = write_series(tmp_path / "a")
    images = [image for path in slice_files(folder) for image in slices_of(read_header(path), path)]
    odd = (0.0, -0.0, 1e-9, 0.005, 0.3, 2.5, 5.0, 7.5, 1e3, 1e9, 1e300, -1e300)

    def moved(image: Slice) -> Slice:
        place = list(image.position_mm)
        place[rng.randrange(3)] += rng.choice(odd)
        marks = tuple(rng.choice((mark, "1", "2")) for mark in image.marks)
        turned = rng.choice((image.orientation, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
        spacing = rng.choice((image.spacing_mm, (0.7, 0.7), (1e-300, 1e300)))
        wanted = rng.choice(({"position_mm": tuple(place)}, {"marks": marks}, {"orientation": turned}))
        return replace(image, **wanted, **({"spacing_mm": spacing} if rng.random() < 0.2 else {}))

    found = Counter[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(tries):
            share = rng.choice((0.05, 0.05, 0.3, 1.0))
            found[outcome([moved(image) if rng.random() < share else image for image in images])] += 1
    all_named(found, tries)
