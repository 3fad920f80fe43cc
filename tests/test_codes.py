"""Coded concepts, pinned: no validator knows whether a code means what its text says."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from osteoscreen.dicom import codes

PINNED = {
    "ANATOMICAL_STRUCTURE": ("91723000", "SCT", "Anatomical Structure"),
    "VERTEBRA": ("51282000", "SCT", "Vertebra"),
    "VERTEBRAL_BODY": ("3572006", "SCT", "Vertebral body"),
    "ARTIFICIAL_INTELLIGENCE": ("123110", "DCM", "Artificial Intelligence"),
}

DICTIONARY = {
    "ANATOMICAL_STRUCTURE": dictionary.SCT.AnatomicalStructure,
    "VERTEBRA": dictionary.SCT.Vertebra,
    "ARTIFICIAL_INTELLIGENCE": dictionary.DCM.ArtificialIntelligence,
}


def _all_codes() -> dict[str, Code]:
    return {name: value for name, value in vars(codes).items() if isinstance(value, Code)}


def test_every_code_is_pinned() -> None:
    found = {
        name: (code.value, code.scheme_designator, code.meaning)
        for name, code in _all_codes().items()
    }
    assert found == PINNED


@pytest.mark.parametrize("name", sorted(DICTIONARY))
def test_a_code_of_dicom_agrees_with_its_dictionary(name: str) -> None:
    code, expected = _all_codes()[name], DICTIONARY[name]
    assert (code.value, code.scheme_designator, code.meaning) == (
        expected.value,
        expected.scheme_designator,
        expected.meaning,
    )


def test_every_other_code_is_told_to_be_unverified() -> None:
    others = {code for name, code in _all_codes().items() if name not in DICTIONARY}
    assert others == codes.UNVERIFIED


def test_every_code_stands_in_the_table_of_sources() -> None:
    for code in _all_codes().values():
        assert f"{code.scheme_designator} {code.value}" in (codes.__doc__ or "")
