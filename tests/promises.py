"""Words that would promise the absence of disease, which no text of the product may do."""

from __future__ import annotations

import re

PROMISES = re.compile(
    r"\brul(?:e|es|ed|ing)\s+out\b|\bno\s+osteoporosis\b|\bhealthy\b|\bnothing\s+further\b"
    r"|(?<!\bnever )(?<!\bnot )\bexclud(?:e|es|ed|ing)\b"
)


def promises(words: str) -> list[str]:
    """Find what promises; excluding is allowed only where it is denied."""
    return PROMISES.findall(" ".join(words.lower().split()))
