"""Which precision a device computes fast, and so what `precision: auto` comes to.

python -m exvideo.precision auto best      what it comes to here, as JSON
"""

import ctypes
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from exvideo.config import Precision

if TYPE_CHECKING:
    import torch

Computed = Literal["float32", "bfloat16"]

ISAS_WITHOUT_BFLOAT16 = {
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
}
"""Values of ONEDNN_MAX_CPU_ISA that keep oneDNN from the processor's bfloat16 instructions."""


@dataclass(frozen=True)
class Choice:
    """The precision to compute in, and the sentence that tells why."""

    precision: Computed
    reason: str
    device: str
    """As `device_name` says."""


def native_bfloat16(device: "torch.device") -> bool:
    """Whether the device has instructions for bfloat16; emulated, it is slower than float32."""
    import torch

    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and _native_on_cpu()


def _native_on_cpu() -> bool:
    import torch

    has = torch.cpu.get_capabilities()
    if not torch.backends.mkldnn.is_available():
        return False
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return bool(has.get("bf16"))
    # Either library may have been told to leave the newer instructions alone.
    return bool(
        (has.get("avx512_bf16") or has.get("amx_bf16"))
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in ISAS_WITHOUT_BFLOAT16
    )


def device_name(device: "torch.device") -> str:
    """`cpu`, or a GPU by the name that CUDA gives it."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def choose_precision(asked: Precision, device: "torch.device | str") -> Choice:
    """What `asked` comes to on this device: `auto` is bfloat16 where that is native."""
    if (asked, str(device)) == ("float32", "cpu"):
        return Choice("float32", "float32 as asked", "cpu")  # needs no torch, which loads for long
    import torch

    device = torch.device(device)
    native = native_bfloat16(device)
    what = "GPU" if device.type == "cuda" else "processor"
    name = device_name(device)
    if asked == "auto" and native:
        return Choice("bfloat16", f"bfloat16, which this {what} computes natively", name)
    if asked == "auto":
        reason = f"float32: this {what} does not compute bfloat16 natively"
        return Choice("float32", reason, name)
    if asked == "bfloat16" and not native:
        return Choice(
            "bfloat16",
            f"bfloat16 as asked, though this {what} does not compute it natively: that can take "
            "ten times as long as float32, which `auto` would choose",
            name,
        )
    return Choice(asked, f"{asked} as asked", name)


def choose_precision_apart(asked: Precision, device: str = "best") -> Choice:
    """`choose_precision` by a process of its own, for a GPU where there is one by default.

    For whoever starts others that compute: it needs neither torch nor a context on their GPU.
    """
    if device == "best" and not _may_have_gpu():
        device = "cpu"
    if (asked, device) == ("float32", "cpu"):
        return choose_precision(asked, device)
    command = [sys.executable, "-m", "exvideo.precision", asked, device]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Choice(**json.loads(answer.splitlines()[-1]))


def _may_have_gpu() -> bool:
    """False only where torch finds none: with neither CUDA's driver nor ROCm's device."""
    if not sys.platform.startswith("linux") or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def main() -> None:
    import torch

    asked, device = sys.argv[1:]
    if device == "best":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    print(json.dumps(asdict(choose_precision(asked, device))))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
