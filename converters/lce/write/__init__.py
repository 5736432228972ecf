"""A lowered graph as a .tflite file."""
