"""How like two pictures are: SSIM as Wang, Bovik, Sheikh and Simoncelli define it (2004).

Of the luminance, with their window (a Gaussian of 1.5 pixels) and constants, computed by libvips.
`python -m bench.imaging.likeness ORIGINAL OUTPUT` prints width, height, bytes and the SSIM of an
output beside the original, decoded in full and scaled down in one step: what neither service does.
"""

import json
import sys
from pathlib import Path
from typing import Any

from imaging.engine import vips

SIGMA = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(first: Any, second: Any) -> float:
    """Return the mean SSIM of two pictures of one size: 1 for the same."""
    x, y = (_luminance(image) for image in (first, second))
    mean_x, mean_y = _window(x), _window(y)
    variances = _window(x * x) - mean_x * mean_x + _window(y * y) - mean_y * mean_y
    covariance = _window(x * y) - mean_x * mean_y
    above = (mean_x * mean_y * 2 + C1) * (covariance * 2 + C2)
    below = (mean_x * mean_x + mean_y * mean_y + C1) * (variances + C2)
    return float((above / below).avg())


def _luminance(image: Any) -> Any:
    return image.colourspace("b-w").cast("double")


def _window(image: Any) -> Any:
    return image.gaussblur(SIGMA, precision="float")


def of(original: Path, output: Path) -> dict[str, Any]:
    """Describe an output."""
    made = vips.Image.new_from_file(str(output))
    whole = vips.Image.new_from_file(str(original))
    wanted = whole.resize(made.width / whole.width, vscale=made.height / whole.height)
    return {
        "width": made.width,
        "height": made.height,
        "bytes": output.stat().st_size,
        "ssim": ssim(made, wanted),
    }


if __name__ == "__main__":
    print(json.dumps(of(Path(sys.argv[1]), Path(sys.argv[2]))))
