"""Cards that post-tunings run on, by their data sheets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """A card."""

    name: str
    gib: float
    """Memory that a program can use, of what the name says."""
    tflops: float
    """Of dense bfloat16 products, at the peak."""


GPUS = {
    "a100-40": Gpu("A100 40 GB", 39.4, 312),
    "a100": Gpu("A100 80 GB", 79.1, 312),
    "h100": Gpu("H100 80 GB", 79.1, 989),
    "h200": Gpu("H200 141 GB", 139.8, 989),
    "b200": Gpu("B200 180 GB", 178.3, 2250),
}


def peak_tflops(device_name: str) -> float | None:
    """A device's peak by the name that CUDA gives it, None where it is none of these.

    The H100's other forms (PCIe, NVL) are slower than their name says here.
    """
    for gpu in GPUS.values():
        if gpu.name.split()[0] in device_name:
            return gpu.tflops
    return None
