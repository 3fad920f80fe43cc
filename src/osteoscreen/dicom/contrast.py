"""What a CT header says of a contrast agent: whether one was given, and in which phase.

The phase is a hint: what the header, or the name of the series, calls it. Nothing is worked out
from it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pydicom.dataset import Dataset

from osteoscreen import texts
from osteoscreen.dicom.header import text
from osteoscreen.findings import ContrastPhase


def contrast_of(headers: Sequence[Dataset]) -> bool | None:
    """True if an agent is recorded, False if its tag is empty or "NONE", None without the tag."""
    agents = [
        (text(header, "ContrastBolusAgent") or "").upper()
        for header in headers
        if "ContrastBolusAgent" in header
    ]
    coded = any(header.get("ContrastBolusAgentSequence") for header in headers)
    if coded or any(agent not in ("", "NONE") for agent in agents):
        return True
    return False if agents else None


PHASE_WORDS = {
    ContrastPhase.NATIVE: re.compile(
        r"""
        \b(nat | nativ[aeo]? | natif | unenhanced | pre-?contrast | blanco)\b
        | \b(non?|without|w/?o|sans|sin|senza|sem|ohne|zonder)[ _-]*
          (iv[ _-]*)?(contrast[a-z]* | inject[a-z]* | km | mdc | pdc)\b
        | 平扫 | 単純
        """,
        re.VERBOSE,
    ),
    ContrastPhase.ARTERIAL: re.compile(
        r"\b(art | arteri(al|el)[a-z]* | arterios[ao])\b | 动脉期 | 動脈相", re.VERBOSE
    ),
    ContrastPhase.VENOUS: re.compile(
        r"""
        \b(ven | (porto[ -]?)?(venous|venos[aeo]?|venoes[a-z]*|veine(ux|use)|veneu[sz]e?)
        | portal[a-z]* | pv)\b
        | 静脉期 | 门脉期 | 門脈相
        """,
        re.VERBOSE,
    ),
    ContrastPhase.NEPHROGRAPHIC: re.compile(r"\b(nephro|nefro)[a-z]*\b | 肾实质期", re.VERBOSE),
    ContrastPhase.DELAYED: re.compile(
        r"""
        \b(delayed | spaet[a-z]* | spat(phase)? | tardi[a-z]* | equilibrium | excretory | laat)\b
        | 延迟期 | 平衡相
        """,
        re.VERBOSE,
    ),
}
"""What a Series Description calls a phase, in English, German, French, Spanish, Italian,
Portuguese, Dutch, Chinese and Japanese, without accents and in lower case."""

CODED_PHASES = {
    "PRE_CONTRAST": ContrastPhase.NATIVE,
    "ARTERIAL": ContrastPhase.ARTERIAL,
    "VENOUS": ContrastPhase.VENOUS,
    "PORTAL_VENOUS": ContrastPhase.VENOUS,
    "DELAYED": ContrastPhase.DELAYED,
}
"""Contrast/Bolus Agent Phase (0018,9344) of a multi-frame image (PS3.3, Contrast/Bolus Usage
macro): the terms that are one of ours."""

LONGEST_DELAY_S = 1800.0
"""Later than half an hour the times are of two injections, or of a wrong clock."""


def phase_of(headers: Sequence[Dataset]) -> tuple[ContrastPhase | None, str | None]:
    """Read the phase that the headers name, and what says so.

    Args:
        headers: One dataset a slice.
    Returns: The phase, ``None`` where none or more than one is named; and the evidence: the term of
        a multi-frame image, the words of the series description, and the time from the start of the
        agent to the first slice.
    """
    description = _plain(text(headers[0], "SeriesDescription") or "")
    named = {
        phase: match[0].strip()
        for phase, words in PHASE_WORDS.items()
        if (match := words.search(description)) is not None
    }
    phases, evidence = set(named), []
    coded = text(headers[0], "ContrastBolusAgentPhase")
    if coded is not None:
        phases |= {CODED_PHASES[coded]} if coded in CODED_PHASES else set()
        evidence.append(texts.PHASE_CODED.format(term=coded))
    if named:
        words = ", ".join(f'"{word}"' for word in named.values())
        evidence.append(texts.PHASE_NAMED.format(words=words))
    delay = _delay_s(headers)
    if delay is not None:
        evidence.append(texts.PHASE_TIMED.format(seconds=delay))
    return phases.pop() if len(phases) == 1 else None, "; ".join(evidence) or None


def _plain(words: str) -> str:
    """Lower case without accents, and with spaces for underscores, which part words here."""
    apart = unicodedata.normalize("NFKD", words.lower().replace("_", " "))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _delay_s(headers: Sequence[Dataset]) -> float | None:
    """Time from the start of the agent to the first slice; ``None`` where it is not told."""
    started = _seconds(headers[0], "ContrastBolusStartTime")
    acquired = [
        found for header in headers if (found := _seconds(header, "AcquisitionTime")) is not None
    ]
    if started is None or not acquired:
        return None
    delay = min(acquired) - started
    return delay if 0 <= delay <= LONGEST_DELAY_S else None


def _seconds(header: Dataset, keyword: str) -> float | None:
    """A time of day (TM, PS3.5 section 6.2) in seconds after midnight, if it has minutes."""
    match = re.fullmatch(
        r"([01]\d|2[0-3])([0-5]\d)([0-5]\d(?:\.\d{1,6})?)?", text(header, keyword) or ""
    )
    if match is None:
        return None
    return int(match[1]) * 3600.0 + int(match[2]) * 60.0 + float(match[3] or 0)
