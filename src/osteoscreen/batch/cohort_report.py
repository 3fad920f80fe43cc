"""The report of a run: one page, every figure of it from the table alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as ds

from osteoscreen import texts
from osteoscreen.batch.drift import FEWEST, SIGMAS, drift_of
from osteoscreen.batch.follow_up import (
    COLUMNS,
    HOLDS_FOR,
    LEAST_SIGNIFICANT,
    LOWEST_HU,
    OTHER_SCANNER_CV,
    SAME_SCANNER_CV,
    SOURCE,
    follow_up,
)
from osteoscreen.batch.screener import RESULTS
from osteoscreen.batch.table import open_table
from osteoscreen.findings import CONDITIONS
from osteoscreen.report.article import Link, Plate, Section, Sheet, render_article
from osteoscreen.report.cohort_charts import (
    Spread,
    conditions_figure,
    drift_figure,
    png_of,
    spreads_figure,
)
from osteoscreen.reporting import PAGE

REPORT, FOLLOW_UP = "report.html", "follow_up.parquet"

READ = tuple(
    dict.fromkeys(
        (
            *COLUMNS, "status", "condition", "osteoporosis", "code", "folder", "input",
            "is_flagged", "age", "sex", "outcome",
        )
    )
)  # fmt: skip
"""Columns of the table that the page needs."""

SHOWN = 200
"""Lines of a list on the page; the table holds all."""

AGE_STEP = 10
SEXES = {"F": "Women", "M": "Men"}
SPREAD_COLUMNS = ("number", "median", "quartiles")
NOBODY = ("", "", "")
SCANNERS = 3
"""Scanners with a drift chart of their own, those with the most studies."""

ATTENUATION = "Trabecular attenuation, HU"


def write_cohort_report(table: Path, out: Path, notice: str) -> None:
    """Write the page, and the pairs of studies of one patient as Parquet.

    Args:
        table: Folder of the table.
        out: Folder for both.
        notice: What the page must not be used for.
    """
    read = open_table(table).to_table(columns=list(READ), filter=ds.field("status") != "skipped")
    rows = read.to_pandas(strings_to_categorical=True)
    screened = rows[rows["status"] == "screened"]
    pairs = follow_up(screened[list(COLUMNS)].astype({"study_date": object}))
    part = out / f"{FOLLOW_UP}.part"
    pairs.to_parquet(part)
    part.replace(out / FOLLOW_UP)
    measured = screened.dropna(subset=["attenuation_hu"])
    sections = [
        Section("What came of it", list(_outcome(rows, screened))),
        Section("Attenuation", [*_ages(measured), _scanners(measured)]),
        Section("Month by month", list(_drifts(measured)) or [NO_DRIFT], note=DRIFT_NOTE),
        Section("Flagged", [_flagged(screened)]),
        Section("Followed up", [_followed(pairs)], note=FOLLOW_UP_NOTE),
    ]
    facts = [f"{rows['study'].nunique():,} studies, {len(screened):,} series screened"]
    page = render_article("Screened archive", notice, facts, sections)
    part = out / f"{REPORT}.part"
    part.write_text(page, encoding="utf-8")
    part.replace(out / REPORT)


DRIFT_NOTE = (
    "The median of each month against that of all other months, with limits at "
    f"{SIGMAS:g} standard errors of their difference, from the median deviation within months. A "
    "month outside them is ringed: the scanner, its protocol or the patients changed. A patient "
    f"counts once a month. Months with fewer than {FEWEST} patients are gaps; studies "
    "without a patient's ID or a date are left out."
)
NO_DRIFT = Sheet("Control chart", (), (), f"No two months have {FEWEST} patients.")
FOLLOW_UP_NOTE = (
    "Each day of a patient beside the one before; of several studies on a day the first counts, "
    "and dates that an anonymiser left count as none. A change is significant where it exceeds "
    f"{LEAST_SIGNIFICANT:g} times the precision error, taken as {SAME_SCANNER_CV:.1%} on one "
    f"scanner model with one kernel and {OTHER_SCANNER_CV:.1%} otherwise ({SOURCE}). That holds "
    f"for {HOLDS_FOR}. Nothing is compared where tube voltage, contrast agent or the set of "
    "vertebrae that count differ or are unknown, nor where the mean of both is below "
    f"{LOWEST_HU:g} HU: a relative error would call changes significant there that are less than "
    "the scanner's own error."
)


def _outcome(rows: pd.DataFrame, screened: pd.DataFrame) -> Iterator[Plate | Sheet]:
    counts = screened["condition"].value_counts()
    if len(screened):
        shares = [int(counts.get(one.value, 0)) for one in CONDITIONS]
        figure = conditions_figure(shares, int(counts.get("", 0)))
        yield Plate(
            "Conditions",
            png_of(figure),
            "The leading class of each result, sure or not; no statement where it abstained.",
        )
    yield _counts(rows, screened)
    yield _refusals(rows)


def _counts(rows: pd.DataFrame, screened: pd.DataFrame) -> Sheet:
    by_condition = screened["condition"].value_counts()
    lines = [
        ("Studies without a result", rows.loc[rows["outcome"] == "refused", "study"].nunique()),
        ("Series screened", len(screened)),
        *((texts.LABELS[one], by_condition.get(one.value, 0)) for one in CONDITIONS),
        ("No statement", by_condition.get("", 0)),
        ("Flagged", int(screened["is_flagged"].sum())),
    ]
    total = max(len(screened), 1)
    body = [
        (name, f"{count:,}", f"{count / total:.1%}" if place > 1 else "")
        for place, (name, count) in enumerate(lines)
    ]
    return Sheet("Counts", ("", "Number", "Of those screened"), body)


def _refusals(rows: pd.DataFrame) -> Sheet:
    counts = rows.loc[rows["status"] != "screened", "code"].value_counts()
    body = [(str(code), f"{count:,}") for code, count in counts.items() if count]
    return Sheet("Refusals and failures by reason", ("Reason", "Number"), body)


def _groups(measured: pd.DataFrame, key: pd.Series[Any]) -> Iterator[tuple[Any, pd.Series[float]]]:
    """Attenuation by key, where it is of patients enough."""
    for name, rows in measured.groupby(key):
        if rows["subject"].nunique() >= FEWEST:
            yield name, rows["attenuation_hu"]


def _spread(values: pd.Series[float]) -> tuple[float, float, float]:
    low, median, high = values.quantile([0.25, 0.5, 0.75])
    return float(low), float(median), float(high)


def _ages(measured: pd.DataFrame) -> Iterator[Plate | Sheet]:
    """Attenuation by decade of age and sex."""
    known = measured.dropna(subset=["age", "sex"])
    decade = (known["age"] // AGE_STEP * AGE_STEP).astype(int)
    groups = []
    cells: dict[int, dict[str, tuple[str, str, str]]] = {}
    for sex, name in SEXES.items():
        found = list(_groups(known[known["sex"] == sex], decade))
        for age, one in found:
            cells.setdefault(age, {})[name] = _spread_cells(one)
        if len(found) > 1:
            low, mid, high = zip(*(_spread(one) for _, one in found))
            ages = [age + AGE_STEP / 2 for age, _ in found]
            groups.append(Spread(name, ages, mid, low, high))
    if groups:
        figure = spreads_figure(groups, x="Age, years", y=ATTENUATION)
        note = "Medians of ten years of age, and the range between quartiles."
        yield Plate("By age and sex", png_of(figure), note)
    names = SEXES.values()
    columns = [f"{name}: {what}" for name in names for what in SPREAD_COLUMNS]
    body = [
        (f"{age} to {age + AGE_STEP - 1}", *chain(*(of.get(name, NOBODY) for name in names)))
        for age, of in sorted(cells.items())
    ]
    yield Sheet("By age and sex, HU", ("Age", *columns), body)


def _spread_cells(values: pd.Series[float]) -> tuple[str, str, str]:
    low, median, high = _spread(values)
    return f"{len(values):,}", f"{median:.0f}", f"{low:.0f} to {high:.0f}"


def _scanner_of(rows: pd.DataFrame) -> pd.Series[str]:
    words = [rows[name].astype(object).fillna("unknown") for name in ("manufacturer", "model")]
    return words[0] + " " + words[1]


def _scanners(measured: pd.DataFrame) -> Sheet:
    body = [(name, *_spread_cells(one)) for name, one in _groups(measured, _scanner_of(measured))]
    return Sheet("By scanner, HU", ("Scanner", *SPREAD_COLUMNS), body)


def _drifts(measured: pd.DataFrame) -> Iterator[Plate]:
    """Control charts of all scanners together and of those with the most studies.

    Attenuation depends on tube voltage and contrast agent more than a scanner drifts: only series
    at the most frequent voltage, not known to show an agent, are drawn.
    """
    native = measured[measured["contrast"].ne(True)]
    dated = native[native["study_date"].notna()]
    frequent = dated["kvp"].mode()
    if frequent.empty:
        return
    dated = dated[dated["kvp"] == frequent[0]]
    note = f"Series at {frequent[0]:g} kV, but those whose header tells of a contrast agent."
    scanner = _scanner_of(dated)
    most = scanner.value_counts().index[:SCANNERS]
    parts = [("All scanners", dated), *((str(one), dated[scanner == one]) for one in most)]
    for name, rows in parts if len(most) > 1 else parts[:1]:
        drift = drift_of(rows["study_date"], rows["subject"], rows["attenuation_hu"])
        if drift is not None:
            yield Plate(name, png_of(drift_figure(drift, y=ATTENUATION)), note)


def _number(value: float, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)


def _flagged(screened: pd.DataFrame) -> Sheet:
    flagged = screened[screened["is_flagged"]].sort_values(
        ["osteoporosis", "study"], ascending=[False, True]
    )
    body: list[Sequence[str | Link]] = [
        (
            str(row.study), f"{row.osteoporosis:.1%}", str(row.condition).replace("_", " "),
            _number(row.attenuation_hu, ".0f"), _number(row.age, ".0f"),
            "" if pd.isna(row.sex) else str(row.sex), str(row.input),
            Link("report", f"{RESULTS}/{row.folder}/{PAGE}") if row.folder else "not kept",
        )
        for row in flagged.head(SHOWN).itertuples()
    ]  # fmt: skip
    columns = ("Study", "P(osteoporosis)", "Condition", "HU", "Age", "Sex", "Input", "Result")
    note = f"The first {min(SHOWN, len(flagged)):,} of {len(flagged):,}, the likeliest first."
    return Sheet("Studies to look at", columns, body, note)


def _followed(pairs: pd.DataFrame) -> Sheet:
    compared = pairs[pairs["note"] == ""]
    ordered = compared.assign(by=compared["change_hu"] / compared["least_significant_hu"])
    body: list[Sequence[str]] = [
        (
            str(row.subject), f"{row.years:.1f}", f"{row.attenuation_before_hu:.0f}",
            f"{row.attenuation_hu:.0f}", f"{row.change_hu:+.0f}",
            f"{row.least_significant_hu:.0f}",
            "significant" if row.is_significant else "within error",
        )
        for row in ordered.sort_values("by").head(SHOWN).itertuples()
    ]  # fmt: skip
    columns = ("Patient", "Years", "Before, HU", "Now, HU", "Change", "Least significant", "")
    counts = pairs.loc[pairs["note"] != "", "note"].value_counts()
    left = "; ".join(f"{note}: {count:,}" for note, count in counts.items())
    note = (
        f"{len(compared):,} pairs compared, {int(compared['is_significant'].sum()):,} significant; "
        f"the steepest falls first, up to {SHOWN}. {left}"
    )
    return Sheet("Change of attenuation", columns, body, note)
