"""A .tflite file as a graph: one that bnnt wrote, or one of the converter of Larq Compute Engine."""
