"""What the model of time knows of a card: figures of a data sheet, and what follows from them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from nanocheck.core.gpus import Gpu
from nanocheck.timing.constants import load

#: Of a multiprocessor and clock, two for a multiply and an add. FP32: CUDA programming guide, arithmetic
#: instructions; tensor operations of Turing (fp16): NVIDIA Turing whitepaper.
_FP32_A_CLOCK = {(7, 5): 128, (8, 0): 128}
_TURING_TENSOR_A_CLOCK = 1024
#: GA102, AD102 and GB202 do 1,024 bf16 operations with fp32 sums a clock and multiprocessor, GeForce and its
#: relatives half of it (NVIDIA whitepapers): what lies below this is half rate.
_FULL_RATE_A_CLOCK = 700
_HBM_BUS_BITS = 3072


@dataclass(frozen=True, kw_only=True)
class Card:
    """Attributes:

    id, capability, sms: as in the catalog. boost_mhz: rated. tensor_tflops: bf16 or fp16 with fp32 sums,
        dense, by the data sheet; None where bf16 has no unit (Turing, whose fp16 peak is computed).
    bandwidth_gb_s: 10^9 bytes a second. l2_bytes. tgp_w: board power, watts.
    memory: hbm, gddr, or gddr-ecc where a part of the bandwidth carries check bits.
    """

    id: str
    capability: tuple[int, int]
    sms: int
    boost_mhz: float
    tensor_tflops: float | None
    bandwidth_gb_s: float
    l2_bytes: float
    tgp_w: float
    memory: str

    @classmethod
    def of(cls, gpu: Gpu) -> Card:
        """A card of the catalog."""
        geforce = "GeForce" in gpu.name
        memory = "hbm" if gpu.bus_width_bits >= _HBM_BUS_BITS else "gddr" if geforce else "gddr-ecc"
        return cls(
            id=gpu.id,
            capability=gpu.capability,
            sms=gpu.sms,
            boost_mhz=gpu.boost_mhz,
            tensor_tflops=gpu.bf16_tflops,
            bandwidth_gb_s=gpu.bandwidth_gb_s,
            l2_bytes=gpu.l2_bytes,
            tgp_w=gpu.tgp_w,
            memory=memory,
        )

    @property
    def generation(self) -> str:
        """The compute capability, as constants are filed."""
        return f"{self.capability[0]}.{self.capability[1]}"

    @property
    def bandwidth(self) -> float:
        """Bytes a second, by the data sheet."""
        return self.bandwidth_gb_s * 1e9

    @property
    def half_rate(self) -> bool:
        """Whether tensor operations with fp32 sums run at half of what the unit could do."""
        if self.tensor_tflops is None or self.capability in {(8, 0), (9, 0), (10, 0)}:
            return False
        return self.tensor_tflops * 1e6 / (self.sms * self.boost_mhz) < _FULL_RATE_A_CLOCK

    def peak(self, dtype: str) -> float:
        """Operations a second that the units for ``dtype`` do at the rated boost clock, dense."""
        fp32 = _FP32_A_CLOCK.get(self.capability, 256) * self.sms * self.boost_mhz * 1e6
        tensor = self.tensor_tflops
        if tensor is None:
            turing = _TURING_TENSOR_A_CLOCK * self.sms * self.boost_mhz * 1e6
            return turing if dtype in HALF and dtype != "bfloat16" else fp32
        return tensor * 1e12 * (1.0 if dtype in HALF else 0.5) if dtype in TENSOR else fp32


@functools.cache
def fitted_capabilities() -> frozenset[str]:
    """Compute capabilities that the model's constants were fitted to."""
    last_words = {name.rpartition(" ")[2] for name in load()}
    return frozenset(each for each in last_words if re.fullmatch(r"[0-9]+\.[0-9]", each))


def why_not_modelled(capability: str, name: str) -> str:
    """Why the model says nothing of a card; empty where it does.

    Args:
        capability: such as ``8.9``. name: as ``torch.cuda.get_device_name()`` prints it.
    """
    if capability not in fitted_capabilities():
        return f"the model of time was fitted to no card of compute capability {capability}"
    if "GTX" in name:
        return "the model of time takes a card of this generation to have tensor cores, and a GTX has none"
    return ""


#: PyTorch's names of what tensor units take; TF32 runs at half the speed of the others (Ampere whitepaper).
HALF = ("bfloat16", "float16")
TENSOR = (*HALF, "tf32")
