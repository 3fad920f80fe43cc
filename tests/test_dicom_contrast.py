"""What the header says of a contrast agent and its phase, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from bad_inputs import edit, put, series
from osteoscreen import texts
from osteoscreen.dicom.contrast import phase_of
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.series import read_series
from osteoscreen.findings import Acquisition, ContrastPhase


def _header(**values: object) -> Dataset:
    header = Dataset()
    with disable_value_validation():
        put(**values)(header)
    return header


PHASES = {
    ContrastPhase.NATIVE: (
        "Abd nativ 5.0 B30f", "ABD_NATIVE_5MM", "Abdomen sans injection", "senza mdc",
        "LWS ohne KM", "SIN CONTRASTE", "sem contraste", "non-contrast 3.0", "w/o contrast",
        "Blanco abdomen", "腹部 平扫", "単純 5mm",
    ),
    ContrastPhase.ARTERIAL: (
        "Art. 1.0 I30f", "late arterial", "Abdomen artériel", "arteriell 3.0", "Fase arteriosa",
        "腹部动脉期", "動脈相",
    ),
    ContrastPhase.VENOUS: (
        "Portal venous 3.0", "portalvenös 3.0", "Abd portovenös", "temps portal", "Fase venosa",
        "veineux 2mm", "ABD_VEN_5.0", "PV 3mm", "portaal veneus", "门脉期", "門脈相",
    ),
    ContrastPhase.NEPHROGRAPHIC: ("Nephrographic 3.0", "temps néphrographique", "Nefrogr. fase"),
    ContrastPhase.DELAYED: (
        "Delayed 5 min", "Spätphase", "SPAETPHASE", "temps tardif", "Fase tardía", "延迟期",
        "平衡相",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "phase"), [(words, phase) for phase, all_ in PHASES.items() for words in all_]
)
def test_the_name_of_a_series_tells_its_phase(words: str, phase: ContrastPhase) -> None:
    found, evidence = phase_of([_header(SeriesDescription=words)])
    assert found is phase
    assert evidence is not None
    assert evidence.startswith('the series description says "')


@pytest.mark.parametrize(
    "words",
    ["", "Abdomen 5.0 B30f", "Partial cart", "Alternative", "Ventral hernia", "delay 30s",
     "Departed", "Chest-Abdomen-Pelvis", "Contrast", "+C", "Nathan's heaven", "Plate"],
)  # fmt: skip
def test_other_names_tell_no_phase(words: str) -> None:
    assert phase_of([_header(SeriesDescription=words)]) == (None, None)


def test_two_phases_in_one_name_are_told_and_none_is_chosen() -> None:
    phase, evidence = phase_of([_header(SeriesDescription="Abd nativ + venös")])
    assert phase is None
    assert evidence == 'the series description says "nativ", "venos"'


@pytest.mark.parametrize(
    ("coded", "words", "phase"),
    [
        ("PORTAL_VENOUS", "", ContrastPhase.VENOUS),
        ("PRE_CONTRAST", "Abd nativ", ContrastPhase.NATIVE),
        ("DELAYED", "Abd nativ", None),
        ("DYNAMIC", "", None),
        ("POST_CONTRAST", "Abd arteriell", ContrastPhase.ARTERIAL),
    ],
)
def test_the_term_of_a_multi_frame_image_tells_its_phase(
    coded: str, words: str, phase: ContrastPhase | None
) -> None:
    found, evidence = phase_of([_header(ContrastBolusAgentPhase=coded, SeriesDescription=words)])
    assert found is phase
    assert (evidence or "").startswith(f"the header says {coded}")


@pytest.mark.parametrize(
    ("started", "acquired", "told"),
    [
        ("101500", ["101612.5", "101610", "101615"], "70 s"),
        ("1015", ["101540"], "40 s"),
        ("101500", ["101500"], "0 s"),
        ("101500", ["101459"], None),  # before the agent
        ("101500", ["104501"], None),  # more than half an hour later
        ("101500", [None], None),
        (None, ["101500"], None),
        ("1015xx", ["101600"], None),
        ("256100", ["101600"], None),
    ],
)
def test_the_time_since_the_agent_is_told_and_names_no_phase(
    started: str | None, acquired: list[str | None], told: str | None
) -> None:
    headers = [
        _header(**{"AcquisitionTime": one, "ContrastBolusStartTime": started}) for one in acquired
    ]
    wanted = (
        None if told is None else f"the first slice was acquired {told} after the agent was started"
    )
    assert phase_of(headers) == (None, wanted)


def test_a_result_tells_the_phase_and_changes_nothing_else(tmp_path: Path) -> None:
    files = series(tmp_path, contrast_agent="IOHEXOL")
    plain = read_series(find_series(tmp_path).series[0])
    edit(
        files,
        put(
            SeriesDescription="Doe portalvenös",
            ContrastBolusStartTime="100000",
            AcquisitionTime="100110",
        ),
    )
    named = read_series(find_series(tmp_path).series[0])
    assert named.reservations == plain.reservations
    assert named.acquisition == plain.acquisition.model_copy(
        update={
            "phase": ContrastPhase.VENOUS,
            "phase_evidence": 'the series description says "portalvenos"; the first slice was '
            "acquired 70 s after the agent was started",
        }
    )


def test_the_report_tells_the_phase_with_its_evidence() -> None:
    acquisition = Acquisition(phase=ContrastPhase.NATIVE, phase_evidence='says "nativ"')
    assert texts.phase(acquisition) == 'native (says "nativ")'
    assert texts.phase(Acquisition(phase_evidence="x")) == f"{texts.NOT_LABELLED} (x)"
