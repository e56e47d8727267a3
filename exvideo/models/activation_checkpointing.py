"""Recomputing activations in the backward pass instead of keeping them."""

from functools import partial
from typing import Literal

from diffusers.models.attention import Attention, BasicTransformerBlock, FeedForward
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer, TemporalResnetBlock
from torch.utils.checkpoint import checkpoint

from exvideo.models.identity_conv import FactorisedIdentityConv3d, IdentityConv3d
from exvideo.models.temporal_transformer import ExtendedTemporalBlock

CheckpointPolicy = Literal["none", "block", "part"]

BLOCKS = (ResnetBlock2D, TemporalConvLayer, BasicTransformerBlock)
"""What is recomputed as one where diffusers has no switch of its own (ModelScope)."""

PARTS = (
    ResnetBlock2D,
    TemporalResnetBlock,
    Attention,
    FeedForward,
    IdentityConv3d,
    FactorisedIdentityConv3d,
)


def checkpoint_activations(model: ModelMixin, policy: CheckpointPolicy) -> None:
    """Set which activations `model` keeps for its backward pass. Results do not change.

    - `none`: all of them; the fastest, and the largest.
    - `block`: only the inputs of residual blocks, of spatial transformer blocks and of the
      temporal parts (positions, convolution and temporal block together).
    - `part`: as `block`; and while a block is recomputed, its residual blocks, attentions,
      feed-forwards and convolution keep only their own inputs and are recomputed one by one.
      One more forward pass of those, and a lower peak, which the largest block sets.

    Always non-reentrant: frozen inputs and DeepSpeed's ZeRO-3 need that.
    """
    if policy not in ("none", "block", "part"):
        raise ValueError(f"policy is {policy!r}, expected 'none', 'block' or 'part'.")
    wrapped: tuple[type, ...] = ()
    if model._supports_gradient_checkpointing:
        model.disable_gradient_checkpointing()
        if policy != "none":
            model.enable_gradient_checkpointing(partial(checkpoint, use_reentrant=False))
            # diffusers' switch covers SVD's temporal part (see `ExtendedTransformer`), but of
            # AnimateDiff's motion modules only the middle one.
            wrapped = (ExtendedTemporalBlock,)
    elif policy != "none":
        wrapped = BLOCKS
    if policy == "part":
        wrapped += PARTS
    for module in model.modules():
        if isinstance(module, BLOCKS + PARTS):
            # The wrapped forward lives on the instance, over the class's own.
            vars(module).pop("forward", None)
            if isinstance(module, wrapped):
                vars(module)["forward"] = partial(checkpoint, module.forward, use_reentrant=False)
