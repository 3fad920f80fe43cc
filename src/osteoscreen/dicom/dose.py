"""Whether a CT was scanned with little dose, by what its headers say: PET/CT, lung screening."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom.dataset import Dataset

from osteoscreen import texts
from osteoscreen.dicom.header import number, text

LOW_DOSE_MGY = 3.0
"""CTDIvol; up to here a chest CT of a standard patient (170 cm, 70 kg) is low-dose screening by CMS
(decision memo CAG-00439N, 2015; cited in Fujii et al., PMC9675046)."""

LOW_DOSE_NAME = re.compile(
    r"\b(?:CT ?AC|AC ?CT|ATT(?:N|ENUATION)? ?CORR\w*|(?:U?LD) ?CT|CT U?LD|(?:ULTRA ?)?LOW ?DOSE)\b"
)
"""Names of low-dose and attenuation-correction CT, in capitals and with spaces for all but letters;
they are free text, so that the absence of one tells nothing."""


def low_dose_sign(headers: Sequence[Dataset]) -> str:
    """Say what tells that a scan had little dose; empty where nothing does.

    Args:
        headers: One dataset a slice.
    """
    for keyword in ("SeriesDescription", "ProtocolName"):
        name = re.sub(r"[^A-Z]+", " ", (text(headers[0], keyword) or "").upper())
        found = LOW_DOSE_NAME.search(name)
        if found:
            return texts.LOW_DOSE_NAME.format(name=found[0])
    doses = [dose for header in headers if (dose := number(header, "CTDIvol")) and dose > 0]
    if doses and max(doses) <= LOW_DOSE_MGY:
        return texts.LOW_DOSE_INDEX.format(mgy=max(doses))
    return ""
