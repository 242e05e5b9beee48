"""Tables, plot and document of results that were made up."""

import pytest
from ablation.report import BEGIN, END, write_report
from ablation.results import MixedStudyError, read_results
from ablation.seed_statistics import interval

from tests.ablation.made_up import evaluated, write_made_up

TABLE = """\
|  | seeds | MPJPE | PA-MPJPE | ABS-MPJPE | ABS-MPJPE after one scale | depth's bias | \
slope of pairs' depths, % | 3DPCK_abs, % | wrong pairs of people, % | wrong pairs of joints, % | \
paper: MPJPE | PA-MPJPE | ABS-MPJPE |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| before: the weights that all start from | 1 | 120.0 | 72.0 | 400.0 | 360.0 | -50.0 | 90.0 | \
25.0 | 30.0 | 25.0 |  |  |  |
| (a) baseline | 3 | 100.0 ± 0.0 | 60.0 ± 0.0 | 300.0 ± 10.0 | 270.0 ± 9.0 | -50.0 ± 0.0 | \
90.0 ± 0.0 | 25.0 ± 0.0 | 20.0 ± 0.0 | 15.0 ± 0.0 | 95.7 | 63.6 | 169.3 |
| (a) + jt | 1 | 100.0 | 60.0 | 250.0 | 225.0 | -50.0 | 90.0 | 25.0 | - | 15.0 | \
89.9 | 59.7 | 132.8 |
| (c) all + sampled views | 2 | 90.0 ± 0.0 | 54.0 ± 0.0 | 260.0 ± 28.3 | 234.0 ± 25.5 | \
-50.0 ± 0.0 | 90.0 ± 0.0 | 25.0 ± 0.0 | 15.0 ± 0.0 | 10.0 ± 0.0 | 87.7 | 57.4 | 118.5 |
| (d) (c) without refinement | 2 | 90.0 ± 0.0 | 54.0 ± 0.0 | 520.0 ± 56.6 | 468.0 ± 50.9 | \
-50.0 ± 0.0 | 90.0 ± 0.0 | 25.0 ± 0.0 | 15.0 ± 0.0 | 10.0 ± 0.0 | 88.4 | 58.1 | 133.6 |"""
# Changes of (c): 240 / 290 and 280 / 300 of the same seeds; t of one degree of freedom is 12.706.
CHANGES = """\
| change, % | seeds | ABS-MPJPE | wrong pairs of people | wrong pairs of joints | MPJPE | \
paper: ABS-MPJPE | MPJPE |
| --- | --: | --: | --: | --: | --: | --: | --: |
| (a) + jt | 1 | -13.8 | - | +0.0 | +0.0 | -21.6 | -6.1 |
| (c) all + sampled views | 2 | -12.0 (-79.1 to +55.2) | -25.0 (-25.0 to -25.0) | \
-33.3 (-33.3 to -33.3) | -10.0 (-10.0 to -10.0) | -30.0 | -8.4 |
| (d) (c) without refinement | 2 | +76.1 (-58.3 to +210.5) | -25.0 (-25.0 to -25.0) | \
-33.3 (-33.3 to -33.3) | -10.0 (-10.0 to -10.0) | -21.1 | -7.6 |
| refinement: (c) against (d) | 2 | -50.0 (-50.0 to -50.0) | +0.0 (+0.0 to +0.0) | \
+0.0 (+0.0 to +0.0) | +0.0 (+0.0 to +0.0) | -11.3 | -0.8 |"""
FOUND = """\
|  | seeds | found, % | MPJPE | PA-MPJPE | ABS-MPJPE | 3DPCK_abs, % | wrong pairs of people, % | \
wrong or not found, % |"""


@pytest.fixture
def study(tmp_path):
    """A folder of results and a document."""
    folder = tmp_path / "ablation/results"
    write_made_up(folder, "warm_start", 0, evaluated(400.0, 0.7, 120.0))
    for seed, baseline in ((1, 290.0), (2, 300.0), (3, 310.0)):
        write_made_up(folder, "a0_baseline", seed, evaluated(baseline))
    write_made_up(folder, "a2_joint", 1, evaluated(250.0, ORD=None))
    for seed, final in ((1, 240.0), (2, 280.0)):
        write_made_up(folder, "c_sampled_views", seed, evaluated(final, 0.85, 90.0))
        write_made_up(folder, "d_without_refinement", seed, evaluated(2 * final, 0.85, 90.0))
    document = tmp_path / "ablation.md"
    document.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    return folder, document


def test_tables(study):
    folder, document = study
    write_report(folder, document)
    text = document.read_text()
    assert TABLE in text and CHANGES in text and FOUND in text
    assert "### crowds, 42 people" in text and "![" in text and "(ablation/crowds.png)" in text
    assert "9 trainings; commit 0123456789, torch 2.0, Python 3.11" in text
    assert "11 to 11 minutes a training" in text
    assert text.startswith("# Title\n\n<!--") and text.endswith(f"{END}\n\nAfter.\n")
    assert "old" not in text
    plot = (folder.parent / "crowds.png").read_bytes()
    assert plot[:4] == b"\x89PNG" and len(plot) > 10_000
    write_report(folder, document)
    assert document.read_text() == text and (folder.parent / "crowds.png").read_bytes() == plot


def test_interval_by_hand():
    assert interval([1.0, 3.0]) == pytest.approx((2 - 12.706, 2 + 12.706), abs=1e-3)
    assert interval([5.0]) == (float("-inf"), float("inf"))


def test_results_of_different_studies_are_not_mixed(study):
    folder, document = study
    write_made_up(folder, "a1_abs", 1, evaluated(1.0), study_digest="another")
    before = document.read_text()
    with pytest.raises(MixedStudyError, match=r"another.*a1_abs_seed1"):
        write_report(folder, document)
    assert document.read_text() == before


def test_files_that_are_no_results(tmp_path):
    with pytest.raises(MixedStudyError, match="found no results"):
        read_results(tmp_path)
    (tmp_path / "x.json").write_text('{"row": "a8_all"}')
    with pytest.raises(MixedStudyError, match=r"x\.json.*digest"):
        read_results(tmp_path)


@pytest.mark.parametrize("text", ["nothing", f"{BEGIN}", f"{END}\n{BEGIN}", f"{BEGIN}{END}{END}"])
def test_a_document_without_markers(study, text):
    folder, document = study
    document.write_text(text)
    with pytest.raises(MixedStudyError, match=r"ablation\.md: expected one"):
        write_report(folder, document)
    assert document.read_text() == text
