"""One CT series in, one result out: slices, marks, segmented image, roi, probabilities, decision."""
