"""Archives: many studies on Ray Data, on this machine or on a cluster."""
