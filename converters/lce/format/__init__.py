"""What a .tflite file of Larq Compute Engine is made of, for the writer and the readers."""
