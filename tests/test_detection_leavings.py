"""A second run into a folder leaves nothing of the first that looks like its own."""

from pathlib import Path

from detection.leavings import remove_results


def test_results_go_and_other_files_stay(tmp_path: Path) -> None:
    ours = ["candidates.csv", "scans.csv", "nodules.csv", "patients.csv", "report/index.html",
            "report/0123456789abcdef.html", "key_images/0123456789abcdef_1.png",
            "dicom/0123456789abcdef_sr.dcm", "dicom/0123456789abcdef_seg.dcm",
            "dicom/0123456789abcdef_01.dcm"]  # fmt: skip
    theirs = ["notes.csv", "report/mine.html", "key_images/figure.png", "dicom/mine.dcm", "0123456789abcdef.html"]
    for name in (*ours, *theirs):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    remove_results(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(theirs)
    remove_results(tmp_path / "not there")
