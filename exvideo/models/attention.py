"""How attention is computed: its kernel, and the exact shortcut for a context of one token."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import nn

from exvideo.config.machine import INSTALL_FLASH_ATTN

AttentionKernel = Literal["sdpa", "flash_attn"]


class FlashAttention:
    """Attention processor over the `flash-attn` package: half precision, on a GPU."""

    def __init__(self) -> None:
        try:
            from flash_attn import flash_attn_func
        except ImportError as error:
            raise ImportError(
                f"attention 'flash_attn' needs the flash-attn package ({INSTALL_FLASH_ATTN}); "
                "'sdpa' needs nothing and has a flash kernel of its own."
            ) from error
        self._attend = flash_attn_func

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """hidden_states [B, L, C], context [B, S, D] or None for self-attention; to [B, L, C]."""
        if attention_mask is not None:
            raise ValueError("flash_attn takes no attention mask; use 'sdpa'.")
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            projection(states).unflatten(-1, (attn.heads, -1))
            for projection, states in (
                (attn.to_q, hidden_states),
                (attn.to_k, context),
                (attn.to_v, context),
            )
        )
        attended = self._attend(query, key, value, deterministic=True).flatten(2)
        return attn.to_out[1](attn.to_out[0](attended))


class OneTokenCrossAttention:
    """Attention processor for a context of a single token.

    The softmax over one key is 1, so attention is to_out(to_v(context)) whatever the query:
    query, key and the norm before them are skipped. Exact, in the forward and the backward pass.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """hidden_states [B, L, C] gives only its shape; context [B, 1, D]; to [B, L, C]."""
        if encoder_hidden_states is None or encoder_hidden_states.shape[1] != 1:
            shape = None if encoder_hidden_states is None else tuple(encoder_hidden_states.shape)
            raise ValueError(
                f"The one-token shortcut needs a context of shape [B, 1, D], got {shape}: "
                "call configure_attention(..., one_token_shortcut=False)."
            )
        attended = attn.to_out[1](attn.to_out[0](attn.to_v(encoder_hidden_states)))
        return attended.expand(-1, hidden_states.shape[1], -1)


KERNELS: dict[str, Callable[[], Any]] = {"sdpa": AttnProcessor2_0, "flash_attn": FlashAttention}


class SkippedLayerNorm(nn.LayerNorm):
    """A norm whose output nobody reads: it keeps its weights and passes its input through."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input


def configure_attention(
    unet: nn.Module,
    kernel: AttentionKernel | FlashAttention = "sdpa",
    *,
    one_token_shortcut: bool = True,
) -> None:
    """Choose how every spatial and temporal attention of a Stable Video Diffusion U-Net runs.

    With the shortcut, the cross-attentions' `norm2`, `to_q` and `to_k` take no part any more;
    they keep their values in every checkpoint and stop being trainable, since an optimizer would
    only decay them. They stay frozen if the shortcut is switched off again (see `freeze_base`).

    Args:
        kernel: `sdpa` is torch's scaled dot product attention, which on a GPU takes its flash
            kernel in half precision; `flash_attn` is the package of that name, as is a
            `FlashAttention` of one's own.
        one_token_shortcut: exact wherever the context is one token, as in SVD.
    """
    if isinstance(kernel, str) and kernel not in KERNELS:
        raise ValueError(f"kernel is {kernel!r}, expected one of {sorted(KERNELS)}.")
    processor: Any = KERNELS[kernel]() if isinstance(kernel, str) else kernel
    one_token: Any = OneTokenCrossAttention()
    for block in unet.modules():
        if not isinstance(block, BasicTransformerBlock | TemporalBasicTransformerBlock):
            continue
        block.attn1.set_processor(processor)
        if block.attn2 is None:
            continue
        block.attn2.set_processor(one_token if one_token_shortcut else processor)
        block.norm2.__class__ = SkippedLayerNorm if one_token_shortcut else nn.LayerNorm
        if one_token_shortcut:
            for unused in (block.norm2, block.attn2.to_q, block.attn2.to_k):
                unused.requires_grad_(False)
