"""Balls in lung, as pieces, crops and cubes, and a stream of patches made of them."""

from dataclasses import replace

import numpy as np

from detection.training.hosts import Held, Host
from detection.training.sampling import HybridPatches
from detection.training.settings import SamplingSettings
from detection.training.spheres import spheres
from phantom.pieces import NoduleCrop, Piece, faded, feathered
from tests.training_settings import detection

SMALL = replace(detection().sampling, patch=32)


def ball(diameter: float, hu: float = 30.0, size: int = 31) -> tuple[np.ndarray, np.ndarray]:
    away = np.linalg.norm(np.indices((size, size, size)) - size // 2, axis=0)
    cover = np.clip(diameter / 2 - away + 0.5, 0, 1).astype(np.float32)
    return (-850 + cover * (hu + 850)).astype(np.float32), cover


def ball_piece(diameter: float, hu: float = 30.0, size: int = 31) -> Piece:
    tissue, cover = ball(diameter, hu, size)
    return Piece(tissue, feathered(cover), (size // 2,) * 3, diameter, "p1")


def lung(size: int = 64, hu: int = -850) -> np.ndarray:
    return np.full((size, size, size), hu, np.float32)


def crop(diameter: float) -> NoduleCrop:
    piece = ball_piece(diameter, size=41)
    return NoduleCrop(replace(piece, weight=faded((41, 41, 41), (2.5, 4.0))), piece)


def cube(diameter: float) -> Piece:
    piece = ball_piece(diameter, size=41)
    return replace(piece, weight=faded((41, 41, 41), (4.0, 4.0)))


def host(nodules: list[tuple[float, ...]] = (), ignored: list[tuple[float, ...]] = ()) -> Host:
    hu = lung(120)
    away = np.indices(hu.shape)
    for z, y, x, d in nodules:
        hu[np.linalg.norm(away - np.array([z, y, x])[:, None, None, None], axis=0) < d / 2] = 30
    voxels = Held(hu.astype(np.int16), np.ones(hu.shape, bool))
    return Host(voxels, spheres(list(nodules)), spheres(list(ignored)))


def patches(settings: SamplingSettings = SMALL, cubes: bool = True, seed: int = 5) -> HybridPatches:
    chest = host([(40, 40, 40, 8)], [(90, 90, 90, 12)])
    return HybridPatches([chest], [crop(6), crop(12)], [cube(10)] if cubes else [], settings, seed)
