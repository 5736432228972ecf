"""Frames on standard input to labels on standard output: python labels.py MODEL.onnx

Frames are raw pixels of the model's size, uint8 [H, W, C], one behind the other, as ffmpeg writes them:

    ffmpeg -f v4l2 -i /dev/video0 -vf scale=32:32 -pix_fmt rgb24 -f rawvideo - | python labels.py model.onnx

(-pix_fmt gray for a model of one channel). Needs bnnt without its other packages: numpy, and a compiler for its first
call. Each line has the frame's number, its class, and by how much its logit is above the next.
"""

import sys
from pathlib import Path

import numpy as np

from bnn_toolchain.runtime.engines.native import library as native


def main() -> None:
    """Read frames until the input ends; the last one may be cut off."""
    if len(sys.argv) != 2:
        sys.exit("usage: labels.py MODEL.onnx < FRAMES")
    session = native.load(Path(sys.argv[1]).read_bytes())
    classes = session.spec.classes
    size = int(np.prod(session.image_shape))
    number = 0
    while len(frame := sys.stdin.buffer.read(size)) == size:
        logits = session.run(np.frombuffer(frame, np.uint8).reshape(1, *session.image_shape))[0]
        second, best = np.argsort(logits)[-2:]
        print(number, classes[best], f"{logits[best] - logits[second]:.4g}", flush=True)
        number += 1
    if frame:
        sys.exit(f"the last frame has {len(frame)} of {size} bytes: are the frames of the model's size?")


if __name__ == "__main__":
    main()
