"""Coded concepts: no validator knows whether a code means what its text says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code

from osteoscreen.dicom import codes
from osteoscreen.dicom.fhir import OWN

PAGE: dict[str, Any] = runpy.run_path(
    str(Path(__file__).parents[1] / "docs" / "codes_page.py"), run_name="page"
)
NAMED: dict[str, Code] = PAGE["named_codes"]()
PUBLIC = {name: code for name, code in NAMED.items() if code.scheme_designator != codes.PRIVATE}

DICTIONARY = {
    "ANATOMICAL_STRUCTURE": dictionary.SCT.AnatomicalStructure,
    "VERTEBRA": dictionary.SCT.Vertebra,
    "LUMBAR_SPINE": dictionary.SCT.LumbarSpine,
    "ARCH_OF_VERTEBRA": dictionary.SCT.ArchOfVertebra,
    "ARTIFICIAL_INTELLIGENCE": dictionary.DCM.ArtificialIntelligence,
    "VERTEBRA_OF_LEVEL[T10]": dictionary.SCT.T10Vertebra,
    "VERTEBRA_OF_LEVEL[T11]": dictionary.SCT.T11Vertebra,
    "VERTEBRA_OF_LEVEL[T12]": dictionary.SCT.T12Vertebra,
    "VERTEBRA_OF_LEVEL[L1]": dictionary.SCT.L1Vertebra,
    "VERTEBRA_OF_LEVEL[L2]": dictionary.SCT.L2Vertebra,
    "VERTEBRA_OF_LEVEL[L3]": dictionary.SCT.L3Vertebra,
    "VERTEBRA_OF_LEVEL[L4]": dictionary.SCT.L4Vertebra,
    "VERTEBRA_OF_LEVEL[L5]": dictionary.SCT.L5Vertebra,
    "CT_UNSPECIFIED_BODY_REGION": dictionary.LN.CTUnspecifiedBodyRegion,
    "DIAGNOSTIC_IMAGING_REPORT": dictionary.LN.DiagnosticImagingReport,
    "RECOMMENDATION": dictionary.DCM.Recommendation,
    "COMMENT": dictionary.DCM.Comment,
    "ATTENUATION_COEFFICIENT": dictionary.DCM.AttenuationCoefficient,
    "HOUNSFIELD_UNIT": dictionary.UCUM.HounsfieldUnit,
    "NO_UNITS": dictionary.UCUM.NoUnits,
    "MILLIMETER": dictionary.UCUM.Millimeter,
    "MEAN": dictionary.SCT.Mean,
    "MEDIAN": dictionary.SCT.Median,
    "STANDARD_DEVIATION": dictionary.SCT.StandardDeviation,
}
"""What pydicom has of the public codes, looked up by what they mean."""

PINNED = {
    "VERTEBRAL_BODY": ("3572006", "SCT", "Vertebral body"),
    "LUMBAR_VERTEBRA": ("73903008", "SCT", "Lumbar vertebra"),
    "VERTEBRA_OF_LEVEL[L6]": ("73903008", "SCT", "Lumbar vertebra"),
    "VERTEBRA_OF_LEVEL[S1]": ("65985001", "SCT", "S1 vertebra"),
    "QUALITATIVE_EVALUATIONS": ("C0034375", "UMLS", "Qualitative Evaluations"),
}
"""What pydicom does not have, as it stands in the sources named in the table."""


def _told(code: Code) -> tuple[str, str, str]:
    return code.value, code.scheme_designator, code.meaning


@pytest.mark.parametrize("name", sorted(DICTIONARY))
def test_a_code_of_dicom_agrees_with_its_dictionary(name: str) -> None:
    assert _told(NAMED[name]) == _told(DICTIONARY[name])


def test_every_other_public_code_is_pinned() -> None:
    others = {name: _told(code) for name, code in PUBLIC.items() if name not in DICTIONARY}
    assert others == PINNED


def test_a_snomed_code_that_dicom_does_not_list_is_told_to_be_unverified() -> None:
    others = {
        code
        for name, code in PUBLIC.items()
        if name not in DICTIONARY and code.scheme_designator == "SCT"
    }
    assert others == codes.UNVERIFIED


def test_every_public_code_has_a_source_and_no_private_one() -> None:
    assert set(codes.SOURCES) == set(PUBLIC.values())


def test_a_code_means_one_thing() -> None:
    meanings = {(code.scheme_designator, code.value): code.meaning for code in NAMED.values()}
    for code in NAMED.values():
        assert meanings[code.scheme_designator, code.value] == code.meaning


def test_values_and_meanings_fit_their_attributes() -> None:
    for code in NAMED.values():  # SH and LO, PS3.5 table 6.2-1
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64


def test_the_page_tells_our_own_system_of_fhir() -> None:
    assert f"`{OWN}`" in PAGE["page"]()


def test_the_page_is_the_table() -> None:
    path = Path(__file__).parents[1] / "docs" / "codes.md"
    assert path.read_text(encoding="utf-8") == PAGE["page"]()
