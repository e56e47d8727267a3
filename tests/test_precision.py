"""`precision: auto` follows the device; processors and GPUs are told apart by what they report."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from exvideo.precision import (
    choose_precision,
    choose_precision_apart,
    native_bfloat16,
)

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have torch report another processor than this one."""

    def report(capability: str, machine: str = "x86_64", **flags: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
        monkeypatch.setattr("platform.machine", lambda: machine)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)

    return report


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_bfloat16_instructions_computes_in_it(processor: Any, flag: str) -> None:
    processor("AVX512", avx2=True, avx512_f=True, **{flag: True})
    assert choose_precision("auto", CPU).precision == "bfloat16"


@pytest.mark.parametrize(
    ("capability", "flags"), [("AVX2", {"avx2": True}), ("AVX512", {"avx512_f": True})]
)
def test_one_without_them_computes_in_float32(
    processor: Any, capability: str, flags: dict[str, bool]
) -> None:
    processor(capability, **flags)
    choice = choose_precision("auto", CPU)
    assert choice.precision == "float32"
    assert choice.reason == "float32: this processor does not compute bfloat16 natively"


def test_a_library_told_to_leave_new_instructions_alone_counts_as_without_them(
    processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor("AVX2", avx512_bf16=True)  # ATEN_CPU_CAPABILITY=avx2
    assert not native_bfloat16(CPU)
    processor("AVX512", avx512_bf16=True)
    assert native_bfloat16(CPU)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    assert not native_bfloat16(CPU)


def test_arm_reports_it_under_its_own_name(processor: Any) -> None:
    processor("DEFAULT", machine="aarch64", neon=True, bf16=True)
    assert native_bfloat16(CPU)
    processor("DEFAULT", machine="aarch64", neon=True, bf16=False)
    assert not native_bfloat16(CPU)


def test_bfloat16_that_was_asked_for_is_used_and_its_cost_is_said(processor: Any) -> None:
    processor("AVX2", avx2=True)
    choice = choose_precision("bfloat16", CPU)
    assert choice.precision == "bfloat16"
    assert "ten times as long as float32" in choice.reason


def test_float32_that_was_asked_for_stays(processor: Any) -> None:
    processor("AVX512", amx_bf16=True)
    assert choose_precision("float32", CPU).precision == "float32"


def test_a_process_of_its_own_comes_to_the_same_choice() -> None:
    assert choose_precision_apart("auto", "cpu") == choose_precision("auto", CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has the GPU that the test must lack")
def test_where_no_gpu_can_be_float32_as_asked_needs_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    found = choose_precision_apart("float32", "cpu")
    monkeypatch.setattr(subprocess, "run", none)
    assert choose_precision_apart("float32") == found == choose_precision("float32", CPU)


def test_whoever_asks_a_process_of_its_own_needs_no_torch() -> None:
    program = (
        "import json, sys; from exvideo.precision import choose_precision_apart as choose; "
        "choose('auto'); print(json.dumps('torch' in sys.modules))"
    )
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(answer) is False
