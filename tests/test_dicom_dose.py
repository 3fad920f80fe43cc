"""Low dose, by names that are written and by the dose index."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from osteoscreen.dicom.dose import low_dose_sign


def _header(**values: object) -> Dataset:
    header = Dataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize(
    "name",
    [
        "CTAC 3.75 Thick", "CT AC 5.0 B30f", "AC CT Body", "ac_ct", "CT Attenuation Correction",
        "Thorax LOW DOSE 1.0", "Lowdose Lunge", "ULTRALOWDOSE", "LDCT lung", "CT ULD 1mm",
    ],
)  # fmt: skip
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
def test_low_dose_names_are_signs(keyword: str, name: str) -> None:
    assert low_dose_sign([_header(**{keyword: name})]).startswith('the series is named "')


@pytest.mark.parametrize(
    "name", ["", "Abdomen 5.0 B30f", "CT ACUTE ABDOMEN", "PET CT WB", "CT ACETABULUM", "A/C", "CTA"]
)
def test_other_names_are_none(name: str) -> None:
    assert low_dose_sign([_header(SeriesDescription=name, ProtocolName=name)]) == ""


@pytest.mark.parametrize(("doses", "is_low"), [
    ((2.1, 3.0), True), ((2.1, 3.1), False), ((0.0,), False), ((None, 1.5), True), ((None,), False)
])  # fmt: skip
def test_the_highest_dose_index_counts(doses: tuple[float | None, ...], is_low: bool) -> None:
    headers = [_header() if dose is None else _header(CTDIvol=dose) for dose in doses]
    sign = low_dose_sign(headers)
    assert bool(sign) is is_low
    assert not is_low or f"{max(dose for dose in doses if dose):.1f} mGy" in sign
