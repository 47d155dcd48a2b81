"""The winners' detector: its size, what its anchors are taught, its loss by hand, and one batch learnt by heart."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from detection.models.grt123.model import Grt123
from detection.models.grt123.settings import Grt123Settings
from detection.models.interface import Truth, build_model
from detection.training.sampling import HybridPatches, collate
from detection.training.settings import TrainSettings
from runs.entry import UsageError, compose_settings
from tests.patches import SMALL, patches


def composed(*overrides: str) -> Grt123Settings:
    settings = compose_settings(TrainSettings, "detection_train", ["model=grt123", *overrides]).model
    assert isinstance(settings, Grt123Settings)
    return settings


NARROW = composed(
    "model.widths=[4,8,8,8,8]", "model.blocks=[1,1,1,1]", "model.back_width=16", "model.back_blocks=[1,1]",
    "model.dropout=0.0",
)  # fmt: skip
NOTHING = torch.zeros(1, 0, 4)


def made(settings: Grt123Settings = NARROW) -> Grt123:
    torch.manual_seed(0)
    model = build_model(settings)
    assert isinstance(model, Grt123)
    return model


def test_it_is_as_large_as_the_published_one() -> None:
    """5.38 million parameters with the three channels of coordinates that this one has not.

    These are 27 x 3 x 128 of a convolution and 3 x 128 of the skip beside it: 10,752.
    """
    parameters = sum(p.numel() for p in made(composed()).parameters())
    assert parameters + 10_752 == pytest.approx(5.38e6, rel=0.005)


def test_which_anchors_are_a_nodule_and_which_are_background() -> None:
    model = made()
    # A nodule of 10 mm on the middle of cell 3 (13.5) along each axis, one of 4 mm, and one that fills up the rows.
    truth = Truth(
        torch.tensor([[[13.5, 13.5, 13.5, 10.0], [25.5, 25.5, 25.5, 4.0], [0, 0, 0, 0]]]),
        NOTHING,
        torch.ones(1, 8, 8, 8),
    )
    anchors, cells = model.grid.anchors((8, 8, 8)), torch.Size((8, 8, 8))
    matches, background = model._matched(truth, anchors, cells)
    cell = (3 * 8 + 3) * 8 + 3
    # Of anchors of 10 mm the one at its place overlaps it whole, its neighbours by 6 / 14: no more than a half.
    assert torch.nonzero(matches[0] == 0).flatten().tolist() == [3 * cell]
    # None overlaps the small one by a half; the best is one of 10 mm around it, (4 / 10) ** 3.
    (small,) = torch.nonzero(matches[0] == 1).flatten().tolist()
    assert small % 3 == 0
    assert np.abs(anchors[small, :3].numpy() + 5 - 25.5).max() <= 2
    assert not background[0, 3 * cell : 3 * cell + 2].any()
    assert background[0, 0]


def test_ignored_and_unknown_places_are_no_background() -> None:
    model = made()
    known = torch.ones(1, 8, 8, 8)
    known[0, :4] = 0
    anchors, cells = model.grid.anchors((8, 8, 8)), torch.Size((8, 8, 8))
    taught = model._matched(Truth(NOTHING, torch.tensor([[[25.5, 25.5, 25.5, 9.0]]]), known), anchors, cells)[1]
    middles = (anchors[:, :3] + anchors[:, 3:]) / 2
    ignored = (middles - 25.5).norm(dim=1) < 4.5
    assert torch.equal(taught[0], (middles[:, 0] > 15) & ~ignored)
    assert int(ignored.sum()) == 3 * 7


def test_the_loss_by_hand() -> None:
    model = made(replace(NARROW, hardest=1, negatives=10**6))
    rows = torch.zeros(1, 8 * 8 * 8 * 3, 5)
    cell = 3 * ((3 * 8 + 3) * 8 + 3)
    rows[0, cell] = torch.tensor([2.0, 0.05, 0.0, 0.0, 0.0])
    rows[0, 5, 0] = 1.0
    model._rows = lambda images: (rows, torch.Size((8, 8, 8)))  # type: ignore[method-assign]
    truth = Truth(torch.tensor([[[14.0, 13.5, 13.5, 10.0]]]), NOTHING, torch.ones(1, 8, 8, 8))
    terms = model.loss(torch.zeros(1, 1, 32, 32, 32), truth)
    # The nodule: log(1 + exp(-2)); the hardest background: log(1 + exp(1)).
    assert terms["loss_score"].item() == pytest.approx(0.5 * math.log1p(math.exp(-2)) + 0.5 * math.log1p(math.exp(1)))
    # Shifted by .5 of 10 mm, which it says.
    assert terms["loss_box"].item() == pytest.approx(0.0, abs=1e-6)


def test_one_batch_is_learnt_by_heart_and_found_again() -> None:
    model = made()
    data = patches()
    stream = HybridPatches(data.hosts, data.crops, data.cubes, SMALL, data.seed, model.preparation)
    batch = [p for p in (stream[n] for n in range(30)) if len(p.nodules)][:2]
    images, truth = collate(batch)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(80):
        loss = torch.stack(list(model.loss(images, truth).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.2 * losses[0]
    model.eval()
    with torch.inference_mode():
        found = model.find(images[:1], 0.02)
    best = found.boxes[int(found.scores.argmax())]
    middle = ((best[:3] + best[3:]) / 2).numpy()
    away = np.linalg.norm(batch[0].nodules[:, :3] - middle, axis=1) - batch[0].nodules[:, 3] / 2
    assert away.min() < 1


def test_a_patch_with_nothing_to_teach_has_a_loss() -> None:
    model = made()
    truth = Truth(NOTHING, torch.tensor([[[16.0, 16, 16, 1000]]]), torch.ones(1, 8, 8, 8))
    terms = model.loss(torch.zeros(1, 1, 32, 32, 32), truth)
    assert [term.item() for term in terms.values()] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.widths=[4,8]", r"model\.widths must be 5 numbers, got \[4, 8\]"),
        ("model.dropout=1.5", r"model\.dropout"),
        ("model.window_hu=[600.0,-1200.0]", r"model\.window_hu, its second, must be above 600\.0"),
        ("model.hardest=0", r"model\.hardest"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(override: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        composed(override)
