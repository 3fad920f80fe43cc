"""DICOM in and out: CT series, compressed pixels, segmentations and their codes."""
