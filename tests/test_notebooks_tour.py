"""The tour runs from its first cell to its last and shows what it says."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "notebooks" / "tour.ipynb"


@pytest.mark.slow
def test_the_tour_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [notebook]")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra [notebook]")
    pytest.importorskip("ipykernel", reason="needs the extra [notebook]")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    tour = nbformat.read(TOUR, as_version=4)
    assert all(not cell.get("outputs") for cell in tour.cells), "commit it without outputs"
    nbclient.NotebookClient(tour, timeout=900, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in tour.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    # Sections and histogram, a key image, curves, predictions.
    assert len(pictures) == 4
    assert not [output for output in outputs if output["output_type"] == "error"]
    (folder,) = tmp_path.glob("lungscreen-tour-*")
    assert (folder / "report" / "report" / "index.html").is_file()
    assert (folder / "training" / "weights.safetensors").is_file()
