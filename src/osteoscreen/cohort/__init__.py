"""A cohort: its manifest, its slices, its splits, and a synthetic one."""
