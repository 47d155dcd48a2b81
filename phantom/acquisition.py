"""How the scanner sees a chest: spacing, slice thickness, kernel, noise, contrast medium and padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import fft

from phantom.anatomy import STEP_MM
from phantom.solids import Field

THICKNESS_MM = (1.0, 1.25, 2.0, 2.5, 3.0)
THICKNESS_SHARE = (0.1, 0.3, 0.15, 0.35, 0.1)
POOL = 16


@dataclass(frozen=True, slots=True)
class Kernel:
    """A reconstruction kernel: `mtf50` is where contrast falls to half and `peak` where noise power peaks, both in
    cycles per mm; noise is the usual standard deviation in HU at 2.5 mm."""

    name: str
    mtf50: float
    peak: float
    noise: float


KERNELS = (
    Kernel("SMOOTH", 0.33, 0.14, 11.0),
    Kernel("STANDARD", 0.42, 0.22, 17.0),
    Kernel("SHARP", 0.58, 0.34, 32.0),
)
KERNEL_SHARE = (0.25, 0.5, 0.25)


@dataclass(frozen=True, slots=True)
class Protocol:
    """One acquisition.

    Attributes:
        pixel_mm: in plane.
        matrix: pixels per row and column.
        thickness_mm: slices lie side by side, each an average over its thickness.
        kernel: of `KERNELS`.
        noise_hu: standard deviation in water at the centre.
        blood_hu: heart and great vessels; above 60 with contrast medium.
        round_fov: padding outside the circle.
    """

    pixel_mm: float
    matrix: int
    thickness_mm: float
    kernel: Kernel
    noise_hu: float
    blood_hu: float
    round_fov: bool


def draw_protocol(rng: np.random.Generator, matrix: int) -> Protocol:
    """A protocol with LIDC's mix of thicknesses; half of the scans with contrast medium."""
    thickness = float(rng.choice(THICKNESS_MM, p=THICKNESS_SHARE))
    kernel = KERNELS[int(rng.choice(len(KERNELS), p=KERNEL_SHARE))]
    dose = float(rng.uniform(0.7, 1.6))
    contrast = bool(rng.random() < 0.5)
    return Protocol(
        pixel_mm=float(np.round(rng.uniform(310, 360) / matrix, 6)),
        matrix=matrix,
        thickness_mm=thickness,
        kernel=kernel,
        noise_hu=kernel.noise * dose * (2.5 / thickness) ** 0.4,
        blood_hu=float(rng.uniform(110, 220) if contrast else rng.uniform(35, 50)),
        round_fov=bool(rng.random() < 0.5),
    )


class Enlarger:
    """Slices of coarse fields on the scan grid, linear in all three axes."""

    def __init__(self, first: tuple[float, float, float], coarse: tuple[int, int, int], across: Field) -> None:
        self._first_z = first[0]
        self._rows = _places(across, first[1], coarse[1])
        self._columns = _places(across, first[2], coarse[2])

    def plane(self, field: Field, z: float) -> Field:
        """(Y, X) of a coarse (Z, Y, X) field at body height z, still coarse in plane."""
        position = float(np.clip((z - self._first_z) / STEP_MM, 0, field.shape[0] - 1.001))
        k, part = int(position), np.float32(position % 1)
        return cast(Field, field[k] * (1 - part) + field[k + 1] * part)

    def slice(self, field: Field, z: float, box: tuple[slice, slice] = (slice(None), slice(None))) -> Field:
        """(Y, X) of a coarse (Z, Y, X) field at body height z, cropped to rows and columns of the scan."""
        plane = self.plane(field, z)
        # Gathers, not matrix products: a threaded BLAS crawls when other work shares the cores.
        low, share = (part[box[1]] for part in self._columns)
        plane = plane[:, low] * (1 - share) + plane[:, low + 1] * share
        low, share = (part[box[0]] for part in self._rows)
        steps = np.diff(plane, axis=0)
        out = steps[low]
        out *= share[:, None]
        out += plane[low]
        return cast(Field, out)


def _places(across: Field, first: float, n: int) -> tuple[npt.NDArray[np.int64], Field]:
    """The lower coarse neighbour of each pixel, and the share of the upper one."""
    position = np.clip((across - first) / STEP_MM, 0, n - 1.001)
    low = position.astype(np.int64)
    return low, (position - low).astype(np.float32)


class Scanner:
    """Blurs a slice by the kernel and adds its noise.

    Noise comes from a pool of independent fields, each slice a rolled and mirrored one: a Fourier round trip for
    every slice would take as long as the rest of the scan.
    """

    def __init__(self, protocol: Protocol, rng: np.random.Generator) -> None:
        n, pixel = protocol.matrix, protocol.pixel_mm
        fy, fx = fft.fftfreq(n, pixel)[:, None], fft.rfftfreq(n, pixel)[None]
        f = np.hypot(fy, fx)
        self._mtf = (0.5 ** ((f / protocol.kernel.mtf50) ** 2)).astype(np.float32)
        shape = np.sqrt(f * np.exp(-0.5 * (f / protocol.kernel.peak) ** 2)).astype(np.float32)
        pool = [fft.rfft2(rng.standard_normal((n, n), dtype=np.float32), workers=1) for _ in range(POOL)]
        noise = [fft.irfft2(white * shape, s=(n, n), workers=1) for white in pool]
        self._pool = [field / field.std() for field in noise]
        half = (n - 1) / 2
        away = np.hypot(*np.meshgrid(np.arange(n) - half, np.arange(n) - half)) * pixel
        self._spread = (protocol.noise_hu * (0.75 + 0.45 * np.exp(-((away / 110) ** 2)))).astype(np.float32)
        self.outside = outside_circle(protocol)

    def acquire(self, hu: Field, rng: np.random.Generator, loudness: float = 1.0) -> Field:
        """One slice (Y, X) HU: resolution, then noise that is louder in the middle of the body."""
        n = hu.shape[0]
        noise = self._pool[int(rng.integers(POOL))]
        up, left = (slice(None, None, int(step)) for step in rng.choice([-1, 1], 2))
        noise = np.roll(noise[up, left], rng.integers(n, size=2), (0, 1)) * self._spread
        seen = fft.irfft2(fft.rfft2(hu, workers=1) * self._mtf, s=(n, n), workers=1)
        seen += np.float32(loudness) * noise
        return cast(Field, seen)


def outside_circle(protocol: Protocol) -> npt.NDArray[np.bool_] | None:
    """(Y, X) pixels outside a round field of view; None when the field of view is square."""
    if not protocol.round_fov:
        return None
    half = (protocol.matrix - 1) / 2
    along = np.arange(protocol.matrix) - half
    return cast(npt.NDArray[np.bool_], np.hypot(along[:, None], along[None]) > half)


def padded(hu: Field, outside: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int16]:
    """Rounded to int16, clipped to [-1024, 3071], -1024 outside the field of view."""
    out = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    if outside is not None:
        out[outside] = -1024
    return out
