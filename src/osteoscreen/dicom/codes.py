"""Every coded concept that a DICOM object of ours carries, with its source.

| concept | code | source |
|---|---|---|
| Anatomical Structure | SCT 91723000 | PS3.16 CID 7150, Segmentation Property Categories |
| Vertebra | SCT 51282000 | PS3.16 CID 7151, Segmentation Property Types |
| Vertebral body | SCT 3572006 | SNOMED CT, verify: see ``UNVERIFIED`` |
| Artificial Intelligence | DCM 123110 | PS3.16 CID 7162, Surface Processing Algorithm Families |
"""

from __future__ import annotations

from pydicom.sr.coding import Code

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
VERTEBRA = Code("51282000", "SCT", "Vertebra")
VERTEBRAL_BODY = Code("3572006", "SCT", "Vertebral body")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

UNVERIFIED = frozenset({VERTEBRAL_BODY})
"""Codes that DICOM PS3.16 does not list. "Structure of body of vertebra" was seen in one public
mapping table; a person should look it up in a SNOMED CT browser."""
