"""MONAI's detector beside MONAI: the same weights, the same answers, the same loss, by axes in the other order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.apps.detection.networks import retinanet_detector
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape

from detection.models.interface import DetectorModel, Truth, build_model
from detection.models.monai_luna16.settings import MonaiSettings
from detection.training.sampling import HybridPatches, collate
from detection.training.settings import TrainSettings
from runs.entry import UsageError, compose_settings
from tests import formula
from tests.patches import SMALL, patches


def composed(*overrides: str) -> MonaiSettings:
    settings = compose_settings(TrainSettings, "detection_train", ["model=monai_luna16", *overrides]).model
    assert isinstance(settings, MonaiSettings)
    return settings


NARROW = composed("model.width=8", "model.blocks=[1,1]", "model.pyramid_width=16")


def by_formula(settings: MonaiSettings) -> DetectorModel:
    model = build_model(settings)
    model.take(formula.weights(model.weights()))
    return model.eval()


def monais(model: DetectorModel, settings: MonaiSettings) -> RetinaNetDetector:
    """MONAI's own detector around the network, with the settings of the bundle's `detector_ops`."""
    anchors = AnchorGeneratorWithAnchorShape(settings.level_scales, settings.anchor_shapes)
    detector = RetinaNetDetector(model.network, anchors)
    detector.set_target_keys("box", "label")
    detector.set_box_selector_parameters(0.02, 1000, 0.22, 300)
    detector.set_atss_matcher(4, center_in_gt=False)
    detector.set_hard_negative_sampler(64, 0.3, min_neg=16, pool_size=20)
    return detector


# From monai 1.6.1 with torchvision 0.28.0: the `network_def` of the bundle's inference.json, with its
# `resnet_fpn_feature_extractor`, with the weights of `formula.weights`, on `formula.picture(32, 48, 16)`: root mean
# square, and the values at the first place, after a third of the map, after half of it and one more, and at the last.
EXPECTED = {
    ("classification", 0): ((3, 8, 12, 8), 0.0886531, [-0.0418856, 0.00134774, 0.0210274, 0.0979244]),
    ("classification", 1): ((3, 4, 6, 4), 0.070298, [-0.0476818, 0.0219668, -0.000586811, 0.111932]),
    ("classification", 2): ((3, 2, 3, 2), 0.0525423, [-0.0405524, 0.012307, 0.0754735, 0.0842958]),
    ("box_regression", 0): ((18, 8, 12, 8), 0.176483, [0.087293, 0.0186385, -0.0544361, -0.0308249]),
    ("box_regression", 1): ((18, 4, 6, 4), 0.117943, [0.0172509, -0.100544, -0.171939, 0.0775625]),
    ("box_regression", 2): ((18, 2, 3, 2), 0.0901758, [0.101257, -0.0695861, -0.0655408, -0.0146719]),
}


def test_its_weights_have_the_names_and_shapes_of_the_published_file_and_its_maps_are_monais() -> None:
    """The list was written by the same program as the expected values."""
    model = by_formula(composed())
    listed = (Path(__file__).parent / "monai_luna16_state.txt").read_text().splitlines()
    have = [f"{n} {'x'.join(map(str, v.shape)) or 'scalar'} {str(v.dtype)[6:]}" for n, v in model.weights().items()]
    assert have == listed
    with torch.inference_mode():
        maps = model.network(formula.picture(32, 48, 16))
    for (name, level), (shape, size, values) in EXPECTED.items():
        answer = maps[name][level][0].double()
        flat, third, half = answer.flatten(), answer.numel() // 3, answer.numel() // 2 + 1
        assert answer.shape == shape
        assert float(flat.square().mean().sqrt()) == pytest.approx(size, rel=1e-4)
        assert [float(flat[i]) for i in (0, third, half, -1)] == pytest.approx(values, abs=2e-5)


def test_the_published_preparation_is_that_of_the_bundle() -> None:
    assert composed().preparation.stated() == {
        "spacing_mm": [0.703125, 0.703125, 1.25], "window_hu": [-1024.0, 300.0], "orientation": "RAS",
    }  # fmt: skip


def test_it_finds_what_monai_finds() -> None:
    """Boxes and scores before suppression, by z, y, x here and by x, y, z there."""
    model = by_formula(NARROW)
    image = formula.picture(16, 32, 48)
    detector = monais(model, NARROW).eval()
    detector.set_box_selector_parameters(0.02, 1000, 1.0, 10**6)
    with torch.inference_mode():
        ours = model.find(image, 0.02)
        theirs = detector(image[0].permute(0, 3, 2, 1)[None])[0]
    # What reaches out of the image is cut by MONAI, which does not know of tiles: compared is the rest.
    upper = torch.tensor([48, 32, 16])
    whole = ((theirs["box"][:, :3] > 0) & (theirs["box"][:, 3:] < upper)).all(1)
    boxes, scores = theirs["box"][whole], theirs["label_scores"][whole]
    assert len(boxes) > 100
    away, which = torch.cdist(boxes, ours.boxes[:, [2, 1, 0, 5, 4, 3]], p=torch.inf).min(1)
    assert float(away.max()) < 1e-4
    torch.testing.assert_close(ours.scores[which], scores)
    # Each was predicted from a cell near it; cells lie at 2, 6, 10, ... in plane and at 1, 3, 5, ... across.
    fine = ours.cells[(ours.cells[:, 0] % 2 == 1)]
    assert bool((fine[:, 1:] % 4 == 2).all())
    assert len(fine) > 100


def test_its_loss_is_monais(monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything known, nothing ignored, and the same draw."""
    # MONAI asks whether they are torchvision's, which is not needed here.
    for name in ("Matcher", "BalancedPositiveNegativeSampler"):
        monkeypatch.setattr(retinanet_detector, name, type(name, (), {}))
    settings = replace(NARROW, spacing_mm=(1.0, 1.0, 1.0))
    model = by_formula(settings).train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.eval()
    images = torch.cat([formula.picture(32, 32, 48), formula.picture(48, 32, 32).permute(0, 1, 4, 3, 2)])
    nodules = torch.tensor([[[10.0, 12, 30, 9], [20, 22, 11, 5]], [[16, 17, 18, 14], [0, 0, 0, 0]]])
    ours = model.loss(images, Truth(nodules, torch.zeros(2, 0, 4), torch.ones(2, 8, 8, 12)))
    boxes = [
        torch.tensor([[25.5, 7.5, 5.5, 34.5, 16.5, 14.5], [8.5, 19.5, 17.5, 13.5, 24.5, 22.5]]),
        torch.tensor([[11.0, 10, 9, 25, 24, 23]]),
    ]
    targets = [{"box": b, "label": torch.zeros(len(b), dtype=torch.int64)} for b in boxes]
    detector = monais(model, settings).train()
    for layer in detector.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.eval()
    theirs = detector(list(images.permute(0, 1, 4, 3, 2)), targets)
    assert ours["loss_box"].item() == pytest.approx(theirs["box_regression"].item(), rel=1e-4)
    # Another draw from the same pool of hard negatives: about the same.
    assert ours["loss_score"].item() == pytest.approx(theirs["classification"].item(), rel=0.1)


def test_one_batch_is_learnt_by_heart_and_found_again() -> None:
    torch.manual_seed(0)
    settings = replace(NARROW, width=16, spacing_mm=(1.0, 1.0, 2.0))
    model = build_model(settings)
    made = patches()
    data = HybridPatches(made.hosts, made.crops, made.cubes, SMALL, made.seed, settings.preparation)
    batch = [p for p in (data[n] for n in range(30)) if len(p.nodules)][:2]
    images, truth = collate(batch)
    assert images.shape == (2, 1, 16, 32, 32)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        terms = model.loss(images, truth)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.2 * losses[0]
    with torch.inference_mode():
        found = model.find(images[:1], 0.02)
    best = found.boxes[int(found.scores.argmax())]
    x, y, z = batch[0].grid.to_world(((best[:3] + best[3:]) / 2).numpy())
    away = np.linalg.norm(batch[0].nodules[:, :3] - [z, y, x], axis=1) - batch[0].nodules[:, 3] / 2
    assert away.min() < 1


def test_the_draw_of_background_follows_from_the_batch_and_leaves_torchs_generator_alone() -> None:
    model = by_formula(NARROW).train()
    images, truth = (
        formula.picture(32, 32, 32),
        Truth(torch.zeros(1, 0, 4), torch.zeros(1, 0, 4), torch.ones(1, 8, 8, 8)),
    )
    state = torch.get_rng_state()
    first = model.loss(images, truth)["loss_score"].item()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    assert model.loss(images, truth)["loss_score"].item() == first


def test_ignored_and_unknown_places_teach_no_background() -> None:
    model = by_formula(NARROW)
    images = formula.picture(32, 32, 32)
    nothing = torch.zeros(1, 0, 4)
    known = torch.ones(1, 8, 8, 8)
    open_truth = Truth(nothing, nothing, known)
    anchors = torch.cat(model._answers(images)[2])
    taught = model._taught(anchors, open_truth)[0]
    middle = ((anchors[:, :3] + anchors[:, 3:]) / 2 + 0.5) * torch.tensor(NARROW.spacing_mm) - 0.5
    # 32 voxels of .703 mm are 22.5 mm of the patch's 32, and 32 of 1.25 mm are 40: the last of them lie beyond it.
    assert bool((taught == (middle[:, 2] < 31.5)).all())
    known[0, :4] = 0
    assert bool((model._taught(anchors, open_truth)[0] == ((middle[:, 2] >= 15.5) & (middle[:, 2] < 31.5))).all())
    ball = torch.tensor([[[10.0, 10, 10, 1000]]])
    assert not model._taught(anchors, Truth(nothing, ball, torch.ones(1, 8, 8, 8))).any()
    # A patch in which nothing may be taught has a loss all the same.
    terms = model.loss(images, Truth(nothing, torch.tensor([[[10.0, 10, 10, 20]]]), torch.ones(1, 8, 8, 8)))
    assert all(bool(torch.isfinite(term)) for term in terms.values())


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("model.pyramid_width=12", r"model\.pyramid_width must be a multiple of 8, got 12"),
        ("model.orientation=LAS", r"model\.orientation must be one of source, RAS, got LAS"),
        ("model.level_scales=[1.0,2.0]", r"model\.level_scales must be 3 numbers, got \[1\.0, 2\.0\]"),
        ("model.window_hu=[300.0,-1024.0]", r"model\.window_hu, its second, must be above 300\.0"),
        ("model.width=abc", r"model\.width.*abc"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(override: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        composed(override)
