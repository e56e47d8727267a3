"""The photographs that scikit-image and scikit-learn ship, split into training and held-out ones.

scikit-image states that its pictures are in the public domain, CC0 or free of known restrictions
(`moon` comes without a word); scikit-learn's two are CC BY 2.0.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_FILES = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "camera": ("skimage", "data/camera.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "coins": ("skimage", "data/coins.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg"),
    "ihc": ("skimage", "data/ihc.png"),
    "moon": ("skimage", "data/moon.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
}

HELD_OUT_PHOTOGRAPHS = ("chelsea", "coffee", "coins", "flower")
TRAIN_PHOTOGRAPHS = tuple(name for name in _FILES if name not in HELD_OUT_PHOTOGRAPHS)


_MAX_SHORT_SIDE = 512  # larger ones would only make every clip slower to render


@cache
def load_photograph(name: str) -> NDArray[np.uint8]:
    """The photograph as read-only RGB uint8 [H, W, 3], its short side at most 512 px.

    Raises KeyError for an unknown name and FileNotFoundError where the package that ships the
    photograph is not installed or came without its pictures.
    """
    if name not in _FILES:
        raise KeyError(f"no photograph named {name!r}; known: {', '.join(_FILES)}")
    package, relative = _FILES[name]
    # find_spec instead of importlib.resources: the latter imports scikit-learn, a second or more.
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"photograph {name!r} is shipped by {package}: install it")
    path = Path(found.submodule_search_locations[0]) / relative
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(f"{package} is installed without the photograph {path}")
    scale = min(1.0, _MAX_SHORT_SIDE / min(bgr.shape[:2]))
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rgb = np.ascontiguousarray(bgr[:, :, ::-1]).astype(np.uint8, copy=False)
    rgb.setflags(write=False)
    return rgb
