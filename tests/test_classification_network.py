import numpy as np
import pytest
import torch

from classification.crops import framed, nodule_crop
from classification.network import RATING_SCALES, NoduleNetwork, from_rating, to_ratings


def test_answers_have_one_row_a_crop():
    network = NoduleNetwork((4, 8, 8, 8), 16).eval()
    out = network(torch.rand(3, 1, 32, 32, 32), torch.tensor([4.0, 8.0, 20.0]))
    assert out.nodule.shape == out.malignancy.shape == (3,)
    assert out.ratings.shape == (3, len(RATING_SCALES))
    assert bool(((out.ratings >= 0) & (out.ratings <= 1)).all())


def test_the_shipped_size_stays_small():
    count = sum(p.numel() for p in NoduleNetwork().parameters())
    assert 100_000 < count < 500_000


def test_ratings_map_to_the_scale_and_back():
    assert from_rating("malignancy", 3) == 0.5
    assert from_rating("calcification", 6) == 1.0
    named = to_ratings(torch.tensor([[0.5] * 7 + [1.0]]))[0]
    assert named["malignancy"] == 3.0
    assert named["calcification"] == 6.0


def test_frame_repeats_what_lies_beyond_the_margin():
    ramp = np.broadcast_to(np.arange(16, dtype=np.int16)[:, None, None], (16, 16, 16))
    # radius 2 + margin 1: slices 5 to 11 around the middle 8 stay.
    seen = framed(ramp, 4.0, (1.0, 20.0))[:, 0, 0]
    assert seen.tolist() == [5] * 5 + [5, 6, 7, 8, 9, 10, 11] + [11] * 4
    across = framed(ramp.transpose(1, 2, 0), 4.0, (20.0, 1.0))[0, 0]
    assert across.tolist() == seen.tolist()


def test_crop_is_centred_and_padded_with_air():
    hu = np.zeros((20, 20, 20), np.int16)
    hu[3, 4, 5] = 100
    crop = nodule_crop(hu, (3.2, 4, 5), 30.0, 16, (2.0, 8.0))
    assert crop.shape == (16, 16, 16)
    assert crop[8, 8, 8] == 100
    assert crop[0, 8, 8] == -1024


@pytest.mark.parametrize("diameter", [1.0, 6.0, 60.0])
def test_any_diameter_gives_finite_answers(diameter):
    network = NoduleNetwork((4, 8, 8, 8), 16).eval()
    out = network(torch.rand(1, 1, 32, 32, 32), torch.tensor([diameter]))
    assert bool(torch.isfinite(out.malignancy).all())
