"""Write docs/codes.md from the table of coded concepts."""

from __future__ import annotations

from pathlib import Path

from pydicom.sr.coding import Code

from osteoscreen.dicom import codes
from osteoscreen.dicom.fhir import OWN

HEAD = f"""# Coded concepts

Every concept that the DICOM results and FHIR name by a code, from
[`dicom/codes.py`](../src/osteoscreen/dicom/codes.py) by `docs/codes_page.py`. No validator notices
a wrong code, so a test compares those of DICOM with pydicom's dictionaries of PS3.16, and another
reads every code that the objects carry. Those marked † are of SNOMED CT but not listed in PS3.16:
they were taken from the source named, and not looked up in a SNOMED CT browser. `99OSTEO` is the
project's own scheme, declared in each object that uses it, for what no public code is known. In
FHIR it is the system `{OWN}`; HL7's codes of category and
of a missing value stand in [`dicom/fhir.py`](../src/osteoscreen/dicom/fhir.py).

| value | scheme | meaning | source |
|---|---|---|---|
"""


def named_codes() -> dict[str, Code]:
    """Return every code of the table by its name there."""
    found: dict[str, Code] = {}
    for name, value in vars(codes).items():
        if isinstance(value, Code):
            found[name] = value
        elif isinstance(value, dict):
            codes_of = {f"{name}[{key}]": one for key, one in value.items()}
            found |= {key: one for key, one in codes_of.items() if isinstance(one, Code)}
    return found


def page() -> str:
    """Return the page as text."""
    lines = [
        f"| `{one.value}` | {one.scheme_designator} | {one.meaning}"
        f"{' †' if one in codes.UNVERIFIED else ''} | {codes.SOURCES.get(one, 'here')} |"
        for one in dict.fromkeys(named_codes().values())
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("codes.md").write_text(page(), encoding="utf-8")
