"""What a sweep judges a training by."""

from pathlib import Path

import pytest

from runs.training.figures import figures_of


def test_losses_end_smoothed_and_a_validation_counts_at_its_best(tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text(
        "step,loss_box,loss_score,validation_cpm\n0,1.0,4.0,\n1,2.0,4.0,0.5\n2,,,0.7\n3,3.0,5.0,0.6\n"
    )
    # A tenth of each new value: 1, 1 + .1 (2 - 1) = 1.1, 1.1 + .1 (3 - 1.1) = 1.29; and 4, 4, 4.1.
    assert figures_of(tmp_path) == pytest.approx(
        {"loss_box": 1.29, "loss_score": 4.1, "loss": 5.39, "validation_cpm": 0.7}
    )


def test_without_a_curve_there_is_none(tmp_path: Path) -> None:
    assert figures_of(tmp_path) == {}
