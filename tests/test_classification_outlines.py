"""The network of outlines: what it is shown, how its answer comes back, what it is taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from classification.classifier import NoduleClassifier, load_classifier
from classification.measuring.outline import Outline, outline
from classification.outlines.examples import Batch, Drawn, NumberedPictures, read_boxes, within_contours
from classification.outlines.figures import dice, figures_of
from classification.outlines.model import DEFAULT_OUTLINES, LARGEST_MM, OutlineModel, load_outlines
from classification.outlines.network import OutlineNetwork
from classification.outlines.picture import RADII, VOXELS, Seed, picture_of, spread
from classification.outlines.settings import LossSettings, OutlineSettings, SeedSettings
from classification.outlines.train import OutlineTraining, losses, train_on
from preprocessing.splits import SplitSettings
from runs.entry import UsageError, compose_settings
from runs.training.run_folder import WEIGHTS
from runs.training.weights import load_weights, save_weights
from tests.test_classification_classifier import BIG, scan, shipped

LOSS = LossSettings(cross_entropy=1.0, volume=1.0, lr=1e-2, weight_decay=0.0)
EXACT = SeedSettings(place=0.0, size=0.0, exact=1.0)


def ball(diameter: float, size: int = 40, patient: str = "p0") -> Drawn:
    """Soft tissue in lung, its border shared."""
    middle = (size - 1) / 2
    away = np.linalg.norm(np.indices((size,) * 3).T - middle, axis=-1).T
    share = np.clip(diameter / 2 - away + 0.5, 0, 1).astype(np.float32)
    hu = (-850 + 900 * share).astype(np.int16)
    return Drawn(f"ball-{diameter}", patient, hu, share, diameter, float(np.pi / 6 * diameter**3))


def test_a_picture_shows_five_radii_whatever_the_size() -> None:
    for diameter in (6.0, 12.0):
        nodule = ball(diameter)
        picture, _ = picture_of(nodule.hu, Seed(nodule.center_zyx, diameter), None, nodule.share[None])
        dense = picture.channels[0] > 0
        # A ball of one radius fills pi / 6 * (1 / 2.5)^3 of the cube.
        assert float(dense.float().mean()) == pytest.approx(np.pi / 6 / RADII**3, rel=0.1)
        # Its shares count the volume in the picture's voxels.
        voxels = nodule.volume_mm3 / Seed(nodule.center_zyx, diameter).voxel_mm ** 3
        assert float(picture.more[0].sum()) == pytest.approx(voxels, rel=0.05)
        # Nearness is 1 in the middle and 0 one radius away: 6.4 voxels.
        line = picture.channels[2][VOXELS // 2, VOXELS // 2]
        assert abs(int(line.abs().argmin()) - (VOXELS - 1) / 2) == pytest.approx(6.4, abs=0.6)


def test_what_lies_beyond_the_volume_is_unknown() -> None:
    nodule = ball(12.0, size=20)
    picture, _ = picture_of(nodule.hu, Seed(nodule.center_zyx, 12.0))
    # The cube is 30 mm wide, the volume 20 mm: two thirds along each axis.
    assert float(picture.known.mean()) == pytest.approx((20 / 30) ** 3, rel=0.15)
    assert not picture.channels[0][picture.known == 0].any()


def test_a_picture_does_not_depend_on_how_much_lies_around_it() -> None:
    nodule = ball(8.0, size=60)
    seed = Seed(nodule.center_zyx + 0.3, 8.0)
    cut = Seed(seed.center_zyx - 12, 8.0)
    whole, part = (picture_of(*what)[0] for what in ((nodule.hu, seed), (nodule.hu[12:48, 12:48, 12:48], cut)))
    assert torch.allclose(whole.channels, part.channels, atol=1e-4)


def test_shares_come_back_to_where_they_were() -> None:
    nodule = ball(10.0)
    seed = Seed(nodule.center_zyx, 10.0)
    picture, first = picture_of(nodule.hu, seed, None, nodule.share[None])
    back = spread(picture.more[0], seed, first)
    assert np.abs(back.share - nodule.share[back.window]).max() < 0.25
    assert back.volume_mm3 == pytest.approx(nodule.volume_mm3, rel=0.05)


def test_fresh_weights_leave_an_outline_as_it_is() -> None:
    nodule = ball(10.0)
    model = OutlineModel(OutlineNetwork((4, 4, 4)))
    drawn = model(nodule.hu, nodule.center_zyx, 10.0)
    assert dice(nodule, drawn) > 0.93
    assert dice(nodule, outline(nodule.hu, nodule.center_zyx, 10.0)) > 0.93


def test_beyond_what_it_learnt_and_where_it_sees_nothing_the_outline_without_it_stays() -> None:
    network = OutlineNetwork((4, 4, 4))
    torch.nn.init.constant_(network.change.bias, -50.0)
    nodule, mass = ball(10.0), ball(LARGEST_MM + 2, size=60)
    for drawn in (nodule, mass):
        found = OutlineModel(network)(drawn.hu, drawn.center_zyx, drawn.diameter_mm)
        assert np.array_equal(found.share, outline(drawn.hu, drawn.center_zyx, drawn.diameter_mm).share)


def test_losses_of_known_answers() -> None:
    share = torch.zeros((1, 4, 4, 4))
    share[0, :2] = 1
    batch = {"share": share, "known": torch.ones_like(share), "voxels": torch.tensor([16.0])}
    sure = losses(torch.where(share > 0, 50.0, -50.0), batch, LOSS)
    assert float(sure["cross_entropy"]) == pytest.approx(0, abs=1e-6)
    assert float(sure["dice"]) == pytest.approx(0, abs=1e-6)
    # 32 voxels where 16 were wanted.
    assert float(sure["volume"]) == pytest.approx(np.log(2), abs=1e-5)
    unsure = losses(torch.zeros_like(share), batch, LOSS)
    assert float(unsure["cross_entropy"]) == pytest.approx(np.log(2), abs=1e-6)
    # Halves everywhere: both 16, all of it 64.
    assert float(unsure["dice"]) == pytest.approx(1 - (2 * 16 + 1) / (64 + 1), abs=1e-6)
    # What is not known plays no part.
    half = {**batch, "known": (share > 0).float()}
    assert float(losses(torch.full_like(share, 50.0), half, LOSS)["dice"]) == pytest.approx(0, abs=1e-6)


def test_examples_are_numbered() -> None:
    pool = NumberedPictures([ball(8.0), ball(12.0)], [], 0.5, replace(EXACT, place=0.1, size=0.1, exact=0.0), 3)
    first, again, other = pool[5], pool[5], pool[6]
    assert torch.equal(first["picture"], again["picture"])
    assert not torch.equal(first["picture"], other["picture"])
    assert float(first["share"].sum()) == pytest.approx(float(first["voxels"]), rel=0.15)


def test_a_contours_own_pixels_are_not_nodule() -> None:
    mask = np.zeros((3, 7, 7), bool)
    mask[1, 1:6, 1:6] = True
    assert within_contours(mask).sum() == 9
    speck = np.zeros((1, 5, 5), bool)
    speck[0, 2, 2] = True
    assert within_contours(speck).sum() == 1


def settings(out: Path, *more: str) -> OutlineSettings:
    small = ["trainer=smoke", "trainer.precision=32-true", "widths=[4,4,4]", "name=mine"]
    return compose_settings(OutlineSettings, "classification_outlines", [f"out={out}", *small, *more])


@pytest.mark.slow
def test_one_nodule_is_learnt_by_heart(tmp_path: Path) -> None:
    """The readers drew a shell's inside: nothing in the picture says where they stopped."""
    whole, inner = ball(16.0, patient="p1"), ball(11.0)
    nodule = replace(whole, share=inner.share, volume_mm3=inner.volume_mm3, diameter_mm=inner.diameter_mm)
    how = ["trainer.steps=80", "trainer.batch=4", "trainer.ema_decay=0.8", "seeds.place=0", "seeds.size=0"]
    path = train_on([nodule], [], settings(tmp_path, *how, "loss.lr=0.02", "context_share=0"))
    before = dice(nodule, outline(nodule.hu, nodule.center_zyx, nodule.diameter_mm))
    after = dice(nodule, load_outlines(path)(nodule.hu, nodule.center_zyx, nodule.diameter_mm))
    assert before < 0.9
    assert after > 0.95


@pytest.mark.slow
def test_a_cut_training_ends_as_an_uncut_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodules = [ball(8.0), ball(12.0), ball(10.0, patient="p1")]
    once = train_on(nodules, [], settings(tmp_path / "once"))
    state, card = load_weights(once, tmp_path)
    assert set(state) == set(OutlineNetwork((4, 4, 4)).state_dict())
    assert card["data"]["n_nodules"] == sum(not settings(tmp_path).split.holds_out(n.patient) for n in nodules)

    calls = [0]
    step = OutlineTraining.training_step

    def dies(self: OutlineTraining, batch: Batch, index: int) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == 4:
            raise RuntimeError("the power went")
        return step(self, batch, index)

    with monkeypatch.context() as patched:
        # Of four steps the last; a checkpoint was written after the second.
        patched.setattr(OutlineTraining, "training_step", dies)
        with pytest.raises(RuntimeError, match="power"):
            train_on(nodules, [], settings(tmp_path / "cut"))
    assert (tmp_path / "cut" / "checkpoints" / "last.ckpt").is_file()
    assert not (tmp_path / "cut" / WEIGHTS).exists()
    assert train_on(nodules, [], settings(tmp_path / "cut")).read_bytes() == once.read_bytes()


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, OutlineNetwork((4, 4, 4)).state_dict(), {"name": "mine", "outlines": {"widths": [4, 4, 8]}})
    with pytest.raises(UsageError, match="of another shape"):
        load_outlines(path)
    save_weights(path, {}, {"name": "mine"})
    with pytest.raises(UsageError, match=r"classification\.outlines\.train"):
        load_outlines(path)
    with pytest.raises(UsageError, match="three numbers"):
        settings(tmp_path, "widths=[4,4]")


@shipped
def test_what_is_measured_is_what_was_drawn_and_readers_see_the_outline_without_a_network() -> None:
    def twice(hu: npt.NDArray[np.int16], center_zyx: npt.ArrayLike, diameter_mm: float) -> Outline:
        return outline(hu, center_zyx, 2 * diameter_mm)

    whole = load_classifier()
    plain, other = (
        NoduleClassifier(whole.network, whole.bag, whole.model, readers=whole.readers, draw=draw)
        for draw in (outline, twice)
    )
    prepared = scan()
    (first,), (second,) = (c.assess(prepared, [BIG]).nodules for c in (plain, other))
    center = prepared.volume.geometry.to_voxel(BIG.center_mm)
    assert second.measurements["volume_mm3"] == twice(prepared.volume.hu, center, BIG.diameter_mm).volume_mm3
    assert first.measurements["volume_mm3"] == outline(prepared.volume.hu, center, BIG.diameter_mm).volume_mm3
    assert second.malignancy == first.malignancy
    assert whole.provenance["outlines"] == DEFAULT_OUTLINES


@shipped
def test_the_number_of_threads_changes_no_digit() -> None:
    model, classifier, prepared = load_outlines(), load_classifier(), scan()
    center, before = prepared.volume.geometry.to_voxel(BIG.center_mm), torch.get_num_threads()
    answers = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            drawn = model(prepared.volume.hu, center, BIG.diameter_mm)
            answers.append((drawn.share.tobytes(), classifier.heat_map(prepared, BIG).values.tobytes()))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.slow
def test_the_shipped_outlines_are_nearer_to_the_readers_than_those_without_a_network() -> None:
    """On patients of fold 0, which its training did not see."""
    folder = Path("../shared/data/lidc_nodules")
    if not folder.exists():
        pytest.skip("needs ../shared/data/lidc_nodules")
    split = SplitSettings()
    held = [n for n in read_boxes(folder) if split.holds_out(n.patient)]
    network, plain = figures_of(load_outlines(), held), figures_of(outline, held)
    assert network["dice"] > plain["dice"] + 0.01
    assert network["volume_within_20_percent_disturbed"] > plain["volume_within_20_percent_disturbed"]
