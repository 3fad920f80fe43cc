"""Synthetic lumbar CT patients: a 3-D implicit description, sliced on demand."""

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.generator import SliceImage, render_slice
from osteoscreen.phantom.protocol import draw_scan
from osteoscreen.phantom.scanner import Scan

__all__ = ["Mode", "Patient", "Scan", "SliceImage", "draw_patient", "draw_scan", "render_slice"]
