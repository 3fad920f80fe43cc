"""Every coded concept that a DICOM object of ours carries, with its source.

| concept | code | source |
|---|---|---|
| Anatomical Structure | SCT 91723000 | PS3.16 CID 7150, Segmentation Property Categories |
| Vertebra | SCT 51282000 | PS3.16 CID 7151, Segmentation Property Types |
| T10 vertebra | SCT 7610001 | PS3.16 CID 7603, Vertebra (also in CID 7151) |
| T11 vertebra | SCT 12989004 | PS3.16 CID 7603 |
| T12 vertebra | SCT 23215003 | PS3.16 CID 7603 |
| L1 vertebra | SCT 66794005 | PS3.16 CID 7603 |
| L2 vertebra | SCT 14293000 | PS3.16 CID 7603 |
| L3 vertebra | SCT 36470004 | PS3.16 CID 7603 |
| L4 vertebra | SCT 11994002 | PS3.16 CID 7603 |
| L5 vertebra | SCT 49668003 | PS3.16 CID 7603 |
| Lumbar vertebra | SCT 73903008 | SNOMED CT, verify: see ``UNVERIFIED`` |
| Arch of vertebra | SCT 40265002 | PS3.16 CID 6115 and CID 8134 |
| Vertebral body | SCT 3572006 | SNOMED CT, verify: see ``UNVERIFIED`` |
| Artificial Intelligence | DCM 123110 | PS3.16 CID 7162, Surface Processing Algorithm Families |
"""

from __future__ import annotations

from pydicom.sr.coding import Code

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
VERTEBRA = Code("51282000", "SCT", "Vertebra")
LUMBAR_VERTEBRA = Code("73903008", "SCT", "Lumbar vertebra")
ARCH_OF_VERTEBRA = Code("40265002", "SCT", "Arch of vertebra")
VERTEBRAL_BODY = Code("3572006", "SCT", "Vertebral body")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

VERTEBRA_OF_LEVEL = {
    "T10": Code("7610001", "SCT", "T10 vertebra"),
    "T11": Code("12989004", "SCT", "T11 vertebra"),
    "T12": Code("23215003", "SCT", "T12 vertebra"),
    "L1": Code("66794005", "SCT", "L1 vertebra"),
    "L2": Code("14293000", "SCT", "L2 vertebra"),
    "L3": Code("36470004", "SCT", "L3 vertebra"),
    "L4": Code("11994002", "SCT", "L4 vertebra"),
    "L5": Code("49668003", "SCT", "L5 vertebra"),
    "L6": LUMBAR_VERTEBRA,
}
"""The vertebrae of the phantom; the sixth lumbar one of a transitional spine has no code."""

UNVERIFIED = frozenset({VERTEBRAL_BODY, LUMBAR_VERTEBRA})
"""Codes that DICOM PS3.16 does not list. "Structure of body of vertebra" was seen in one public
mapping table, "Bone structure of lumbar vertebra" in several (those of the German oncology data
set among them); a person should look both up in a SNOMED CT browser."""
