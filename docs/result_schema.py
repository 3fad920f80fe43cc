"""Write docs/result.schema.json from the result object."""

from __future__ import annotations

import json
from pathlib import Path

from osteoscreen.findings import ScreeningResult


def schema() -> str:
    """Return the JSON Schema of ``result.json`` as text."""
    return json.dumps(ScreeningResult.model_json_schema(by_alias=True), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("result.schema.json").write_text(schema(), encoding="utf-8")
