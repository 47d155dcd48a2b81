"""Where a place of one scan lies in an earlier one of the same person: an affine map, then a smooth deformation.

Breathing moves a nodule by centimetres between two scans. The lungs' moments start an affine registration of the scans
at 3 mm, whose result a cubic B-spline on a grid of 50 mm bends; both maximise the correlation of grey values inside of
the current scan's lungs. One thread and every voxel of a regular sample: the same scans give the same map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from preprocessing.geometry import Geometry
from preprocessing.prepare import PreparedScan
from preprocessing.resample import coarsened, coarsened_mask

COARSE_MM = 3.0
SHOWN_HU = (-1000.0, 200.0)
CONTROL_MM = 50.0
SAMPLED = 0.4
# Regular samples are moved a little at random.
SEED = 1
AFFINE_STEPS, BSPLINE_STEPS = 60, 12

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """From a current scan to an earlier one.

    Attributes:
        transform: of world LPS mm points.
        correlation: of the grey values inside of the current lungs, after it, in [-1, 1].
    """

    transform: sitk.Transform
    correlation: float

    def to_prior(self, points_mm: npt.ArrayLike) -> Points:
        """World LPS mm points (N, 3) of the current scan in the earlier one."""
        points = np.asarray(points_mm, dtype=float).reshape(-1, 3)
        return np.array([self.transform.TransformPoint(point.tolist()) for point in points]).reshape(-1, 3)


def register(current: PreparedScan, prior: PreparedScan) -> Registration:
    """The map from `current` to `prior`; both with lungs."""
    fixed, lungs = _image(current)
    moving, prior_lungs = _image(prior)
    affine = _maximised(fixed, moving, lungs, _by_moments(lungs, prior_lungs), bends=False)
    mesh = [max(1, round(n * s / CONTROL_MM)) for n, s in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    spline = sitk.BSplineTransformInitializer(fixed, mesh)
    carried = sitk.Resample(moving, fixed, affine, sitk.sitkLinear, SHOWN_HU[0])
    bent = _maximised(fixed, carried, lungs, spline, bends=True)
    # The spline leads from the current scan to where the affine map then takes it on from.
    whole = sitk.CompositeTransform([affine, bent])
    return Registration(whole, _correlation(fixed, moving, lungs, whole))


def _image(prepared: PreparedScan) -> tuple[sitk.Image, sitk.Image]:
    """Grey values in a window, and the lungs, at about 3 mm."""
    step = max(1, round(COARSE_MM / prepared.volume.geometry.spacing_mm[0]))
    geometry = prepared.volume.geometry
    hu = np.clip(coarsened(prepared.volume.hu, step), *SHOWN_HU).astype(np.float32)
    first = geometry.to_world(np.full(3, (step - 1) / 2))
    spacing = [s * step for s in geometry.spacing_mm]
    return _as_itk(hu, geometry, spacing, first), _as_itk(
        coarsened_mask(prepared.lung_mask, step).astype(np.uint8), geometry, spacing, first
    )


def _as_itk(values: npt.NDArray[np.generic], geometry: Geometry, spacing: list[float], first: Points) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin([float(v) for v in first])
    image.SetDirection(np.asarray(geometry.direction, dtype=float).ravel().tolist())
    return image


def _by_moments(current: sitk.Image, prior: sitk.Image) -> sitk.AffineTransform:
    """The middle of the lungs on the middle of the lungs, their spread along each axis on their spread."""
    (middle, spread), (prior_middle, prior_spread) = (_moments(lungs) for lungs in (current, prior))
    start = sitk.AffineTransform(3)
    start.SetCenter(middle.tolist())
    start.SetMatrix(np.diag(prior_spread / spread).ravel().tolist())
    start.SetTranslation((prior_middle - middle).tolist())
    return start


def _moments(lungs: sitk.Image) -> tuple[Points, Points]:
    """Mean and standard deviation in world mm, along x, y, z."""
    zyx = np.argwhere(sitk.GetArrayViewFromImage(lungs) > 0)
    matrix = np.asarray(lungs.GetDirection()).reshape(3, 3) * np.asarray(lungs.GetSpacing())
    world = zyx[:, ::-1] @ matrix.T + np.asarray(lungs.GetOrigin())
    return world.mean(0), world.std(0)


def _maximised(
    fixed: sitk.Image, moving: sitk.Image, lungs: sitk.Image, start: sitk.Transform, bends: bool
) -> sitk.Transform:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(sitk.BinaryDilate(lungs, (2, 2, 2)))
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    if bends:
        method.SetOptimizerAsLBFGSB(numberOfIterations=BSPLINE_STEPS, maximumNumberOfCorrections=5)
        method.SetShrinkFactorsPerLevel([2])
        method.SetSmoothingSigmasPerLevel([1.0])
    else:
        method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.02, AFFINE_STEPS)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([4, 2])
        method.SetSmoothingSigmasPerLevel([2.0, 1.0])
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(fixed, moving)


def _correlation(fixed: sitk.Image, moving: sitk.Image, lungs: sitk.Image, transform: sitk.Transform) -> float:
    carried = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, SHOWN_HU[0]))
    inside = sitk.GetArrayViewFromImage(lungs) > 0
    both = sitk.GetArrayViewFromImage(fixed)[inside], carried[inside]
    return float(np.corrcoef(*both)[0, 1])
