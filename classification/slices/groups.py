"""Which slices show the same chest: without patient ids, by what they look like and by their numbers.

Neighbouring slices of one patient are nearly the same picture. Where such pairs fall on both sides of a split, a
nearest neighbour is "right" about patients that it has seen. Groups keep them on one side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import from_numpy
from torch.nn import functional

from classification.slices.files import Slice

THUMBNAIL = (32, 40)
# Neighbours in number from here on are one run; any two from there on are nearly the same picture.
RUN_CORRELATION = 0.8
SAME_CORRELATION = 0.97

Views = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def thumbnails(views: Views) -> Views:
    """(N, 1280) of views (N, H, W), of mean 0 and length 1: their products are correlations."""
    small = functional.adaptive_avg_pool2d(from_numpy(views)[:, None], THUMBNAIL).flatten(1).numpy()
    small = small - small.mean(1, keepdims=True)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6), np.float32)


def groups_of(slices: Sequence[Slice], thumbs: Views) -> Labels:
    """(N,) number of the group of each slice."""
    correlation = thumbs @ thumbs.T
    labels, numbers = np.array([s.label for s in slices]), np.array([s.number for s in slices])
    neighbours = (labels[:, None] == labels) & (np.abs(numbers[:, None] - numbers) == 1) & (numbers[:, None] >= 0)
    linked = (neighbours & (correlation >= RUN_CORRELATION)) | (correlation >= SAME_CORRELATION)
    rows, columns = np.nonzero(linked)
    n = len(slices)
    _, found = connected_components(coo_matrix((np.ones(len(rows)), (rows, columns)), (n, n)), directed=False)
    return np.asarray(found, np.int64)


def grouped_folds(labels: Labels, groups: Labels, folds: int) -> Labels:
    """(N,) fold of each slice: in every class consecutive groups stay together and the folds are about equal.

    The slices are taken to be in the order of their numbers, so that what the groups do not see, one patient's slices
    far apart, mostly falls on one side too. A group of several classes follows its first slice.
    """
    found = np.full(len(labels), -1)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        for place, index in enumerate(mine):
            if found[index] < 0:
                found[groups == groups[index]] = place * folds // len(mine)
    return found


def random_folds(labels: Labels, folds: int, rng: np.random.Generator) -> Labels:
    """(N,) fold of each slice, at random within each class: the split that leaks."""
    found = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        found[mine] = np.arange(len(mine)) * folds // len(mine)
    return found


def nearest(thumbs: Views, labels: Labels, folds: Labels) -> Labels:
    """(N,) label of each slice's nearest neighbour of other folds: what memory alone achieves."""
    correlation = thumbs @ thumbs.T
    correlation[folds[:, None] == folds] = -2
    return np.asarray(labels[correlation.argmax(1)], np.int64)
