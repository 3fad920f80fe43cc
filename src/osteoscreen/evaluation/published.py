"""The figures that the paper gives (Tables 2 to 6, section 3.5), to stand beside ours."""

from __future__ import annotations

PATIENTS = {"train": 50, "test": 21}
"""Patients a class (Table 2)."""
SEGMENTATION = {"dice_score": 0.9992, "iou_score": 0.9984, "pixel_recall_score": 0.9991}
"""Of 756 augmented images (Table 3)."""
PRECISION = (0.8057, 0.6621, 0.8255)
"""Of each class, of 3,024 augmented images (Table 4)."""
AUC = (0.9715, 0.8320, 0.9467)
"""Of each class (Table 4)."""
CLASSIFIERS = {
    "densenet-121": (0.5498, 0.6842),
    "densenet-1": (0.6581, 0.8120),
    "densenet-2": (0.6412, 0.7923),
    "bcc-net": (0.7665, 0.9167),
}
"""Accuracy and AUC of each network (Table 5)."""
ACCURACY, MACRO_AUC = CLASSIFIERS["bcc-net"]
