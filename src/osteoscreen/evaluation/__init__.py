"""Metrics with patient-level intervals, and the evaluation of a model bundle on a cohort."""
