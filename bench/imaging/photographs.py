"""Makes photographs as a camera of 12 megapixels takes them: `python -m … FOLDER COUNT`.

The sample photographs are smaller, so they are scaled up; the noise of a sensor is added, for
without it a JPEG of that size would have a fifth of the bytes. No two of them are alike.
"""

import sys
from pathlib import Path

from imaging.engine import vips
from imaging.showcase import sample_photographs

WIDTH, HEIGHT = 4000, 3000
QUALITY = 92
LEAST_NOISE, MOST_NOISE = 4, 7  # of 255; makes 3.3 to 5 MB


def make(source: Path, number: int) -> bytes:
    """Return a photograph of this number; the same bytes each time."""
    picture = vips.Image.thumbnail(str(source), WIDTH, height=HEIGHT, crop="centre")
    opaque = picture.flatten() if picture.hasalpha() else picture
    sigma = LEAST_NOISE + number % (MOST_NOISE - LEAST_NOISE + 1)
    noise = vips.Image.gaussnoise(WIDTH, HEIGHT, mean=0, sigma=sigma, seed=number)
    seen = (opaque + noise).cast("uchar").copy(interpretation="srgb")
    return bytes(seen.jpegsave_buffer(Q=QUALITY))


def main(folder: Path, count: int) -> None:
    """Write so many into the folder."""
    samples = sample_photographs()
    for number in range(count):
        data = make(samples[number % len(samples)], number)
        (folder / f"photograph-{number:03}.jpg").write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
