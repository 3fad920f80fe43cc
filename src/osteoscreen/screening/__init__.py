"""One CT series in, one result out: marks, segmented image, roi, probabilities, decision."""
