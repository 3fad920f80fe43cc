"""The manifest: every wrong row at once, classes by the WHO limits, patients in one split."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from osteoscreen.cohort.manifest import (
    Case,
    Split,
    read_manifest,
    write_manifest,
)
from osteoscreen.cohort.mask_labels import MaskLabel, Part
from osteoscreen.errors import ManifestError
from osteoscreen.findings import BoneCondition, condition_of_t_score

HEADER = "case_id,patient_id,image,mask,mask_labels,condition,split,t_score\n"


def _manifest(folder: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    """Write a manifest whose images and masks are the empty files a.nii to d.nii and m.nii."""
    for name in "abcdm":
        (folder / f"{name}.nii").touch()
    path = folder / "manifest.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding=encoding)
    return path


def _error(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("t_score", "condition"),
    [
        (1.0, BoneCondition.NORMAL),
        (-1.0, BoneCondition.NORMAL),
        (-1.0001, BoneCondition.LOW),
        (-2.4999, BoneCondition.LOW),
        (-2.5, BoneCondition.OSTEOPOROSIS),
        (-6.0, BoneCondition.OSTEOPOROSIS),
    ],
)
def test_the_who_limits_belong_to_the_outer_classes(
    t_score: float, condition: BoneCondition
) -> None:
    assert condition_of_t_score(t_score) is condition


def test_a_condition_follows_from_the_t_score(tmp_path: Path) -> None:
    path = _manifest(
        tmp_path,
        "1,p1,a.nii,m.nii,body=1;rest=2,,train,-3",
        "2,p2,b.nii,,,low_bone_mass,test,-2",
        "3,p3,c.nii,,,,validation,",
    )
    found = read_manifest(path)
    assert [case.condition for case in found.cases] == [
        BoneCondition.OSTEOPOROSIS,
        BoneCondition.LOW,
        None,
    ]
    assert found.cases[0].labels() == (MaskLabel(1, Part.BODY), MaskLabel(2, Part.REST))
    assert found.of(Split.TEST, Split.VALIDATION) == found.cases[1:]
    assert found.folder == tmp_path
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_case_built_by_hand_gets_its_condition_too() -> None:
    case = Case(case_id="1", patient_id="1", image="a", split=Split.TEST, t_score=-3)
    assert case.condition is BoneCondition.OSTEOPOROSIS


def test_every_wrong_row_and_column_is_reported_at_once(tmp_path: Path) -> None:
    path = _manifest(
        tmp_path,
        ",p1,a.nii,,,,train,",
        "2,p2,b.nii,,,thin,somewhere,-11",
        "3,p3,c.nii,,,normal_bone_mass,train,-2.5",
        "4,p4,nowhere.nii,gone.nii,body=1,,train,",
        "5,p5,d.nii,,,,train,",
        "5,p5,d.nii,,,,test,",
    )
    message = _error(path)
    assert message.startswith(f"{path}: ")
    for expected in (
        "row 2, column case_id: ",
        "row 3, column condition: ",
        "row 3, column split: ",
        "row 3, column t_score: ",
        "row 4, column condition: Value error, condition normal_bone_mass disagrees with "
        "t_score -2.5, which means osteoporosis",
        "row 5, column image: nowhere.nii does not exist",
        "row 5, column mask: gone.nii does not exist",
        "row 7, column case_id: 5 stands in row 6 already",
        "row 7, column split: patient_id p5 is in test here and in train in row 6",
    ):
        assert expected in message
    assert message.count("row ") == 9 + 2  # two of them name an earlier row as well


def test_two_cases_of_a_patient_may_share_a_split(tmp_path: Path) -> None:
    path = _manifest(tmp_path, "1,p1,a.nii,,,,train,", "2,p1,b.nii,,,,train,")
    assert len(read_manifest(path).cases) == 2


@pytest.mark.parametrize("t_score", ["nan", "inf", "minus three"])
def test_a_t_score_must_be_a_number(t_score: str, tmp_path: Path) -> None:
    path = _manifest(tmp_path, f"1,p1,a.nii,,,,train,{t_score}")
    assert "row 2, column t_score" in _error(path)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("body", "needs pairs such as body=1;rest=2"),
        ("body=one", "needs pairs such as body=1;rest=2"),
        ("body=1;canal=5", "with names of body, rest, vertebra"),
        ("L3.rest=2", "a mask needs a value named body or vertebra"),
        ("body=1;rest=1", "a value can mean one thing only"),
        ("body=0", "0 is the background"),
        ("rest=2", "a mask needs a value named body or vertebra"),
        ("", "a mask needs a value named body or vertebra"),
    ],
)
def test_mask_labels_that_name_no_vertebra_are_an_error(
    labels: str, reason: str, tmp_path: Path
) -> None:
    message = _error(_manifest(tmp_path, f"1,p1,a.nii,m.nii,{labels},,train,"))
    assert "row 2, column mask_labels" in message
    assert reason in message


def test_a_mask_without_its_labels_column_is_an_error(tmp_path: Path) -> None:
    header = "case_id,patient_id,image,mask,split\n"
    message = _error(_manifest(tmp_path, "1,p1,a.nii,m.nii,train", header=header))
    assert "row 2, column mask_labels" in message


def test_unknown_missing_and_surplus_columns_are_errors(tmp_path: Path) -> None:
    header = "case_id,patient_id,picture,split\n"
    message = _error(_manifest(tmp_path, "1,p1,a.nii,train,more", header=header))
    for column in ("picture", "image", "beyond the last column"):
        assert f"row 2, column {column}: " in message


def test_a_byte_order_mark_as_spreadsheets_write_it_is_read_over(tmp_path: Path) -> None:
    path = _manifest(tmp_path, "1,p1,a.nii,,,,train,", encoding="utf-8-sig")
    assert read_manifest(path).cases[0].case_id == "1"


def test_a_manifest_of_another_encoding_is_an_error(tmp_path: Path) -> None:
    path = _manifest(tmp_path, "1,Jürgen,a.nii,,,,train,", encoding="latin-1")
    assert "must be a CSV file in UTF-8" in _error(path)


def test_a_manifest_without_rows_is_an_error(tmp_path: Path) -> None:
    assert "the manifest has no rows" in _error(_manifest(tmp_path))


def test_a_manifest_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    assert "it does not exist" in _error(tmp_path / "manifest.csv")


def test_written_cases_are_read_back(tmp_path: Path) -> None:
    _manifest(tmp_path)
    cases = (
        Case(
            case_id="1, with a comma",
            patient_id='"p1"',
            image="a.nii",
            mask="m.nii",
            mask_labels="vertebra=7",
            split=Split.CALIBRATION,
            t_score=-0.1,
            vbmd_mg_cm3=1 / 3,
            age=70,
            sex="F",
            scanner="none",
            level="L3",
        ),
        Case(case_id="2", patient_id="p2", image="b.nii", split=Split.TRAIN),
    )
    write_manifest(cases, tmp_path / "written.csv")
    assert not list(tmp_path.glob("*.part"))
    assert read_manifest(tmp_path / "written.csv").cases == cases


def test_a_patient_has_one_condition_and_one_sex(tmp_path: Path) -> None:
    header = HEADER.strip() + ",sex\n"
    path = _manifest(
        tmp_path,
        "1,p1,a.nii,,,,train,-2.7,F",
        "2,p1,b.nii,,,,train,-2.2,M",
        "3,p1,c.nii,,,,train,,",
        header=header,
    )
    message = _error(path)
    for wanted in (
        "row 3, column condition: patient_id p1 has low_bone_mass here and osteoporosis in row 2",
        "row 3, column sex: patient_id p1 has M here and F in row 2",
    ):
        assert wanted in message
    assert "row 4" not in message
