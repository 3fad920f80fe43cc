"""Coded concepts, pinned: no validator knows whether a code means what its text says."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from osteoscreen.dicom import codes

PINNED = {
    "ANATOMICAL_STRUCTURE": ("91723000", "SCT", "Anatomical Structure"),
    "VERTEBRA": ("51282000", "SCT", "Vertebra"),
    "LUMBAR_VERTEBRA": ("73903008", "SCT", "Lumbar vertebra"),
    "ARCH_OF_VERTEBRA": ("40265002", "SCT", "Arch of vertebra"),
    "VERTEBRAL_BODY": ("3572006", "SCT", "Vertebral body"),
    "ARTIFICIAL_INTELLIGENCE": ("123110", "DCM", "Artificial Intelligence"),
    "T10": ("7610001", "SCT", "T10 vertebra"),
    "T11": ("12989004", "SCT", "T11 vertebra"),
    "T12": ("23215003", "SCT", "T12 vertebra"),
    "L1": ("66794005", "SCT", "L1 vertebra"),
    "L2": ("14293000", "SCT", "L2 vertebra"),
    "L3": ("36470004", "SCT", "L3 vertebra"),
    "L4": ("11994002", "SCT", "L4 vertebra"),
    "L5": ("49668003", "SCT", "L5 vertebra"),
    "L6": ("73903008", "SCT", "Lumbar vertebra"),
}

DICTIONARY = {
    "ANATOMICAL_STRUCTURE": dictionary.SCT.AnatomicalStructure,
    "VERTEBRA": dictionary.SCT.Vertebra,
    "ARTIFICIAL_INTELLIGENCE": dictionary.DCM.ArtificialIntelligence,
    "ARCH_OF_VERTEBRA": dictionary.SCT.ArchOfVertebra,
    "T10": dictionary.SCT.T10Vertebra,
    "T11": dictionary.SCT.T11Vertebra,
    "T12": dictionary.SCT.T12Vertebra,
    "L1": dictionary.SCT.L1Vertebra,
    "L2": dictionary.SCT.L2Vertebra,
    "L3": dictionary.SCT.L3Vertebra,
    "L4": dictionary.SCT.L4Vertebra,
    "L5": dictionary.SCT.L5Vertebra,
}


def _all_codes() -> dict[str, Code]:
    named = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}
    return named | codes.VERTEBRA_OF_LEVEL


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
