"""Recomputing activations in the backward pass instead of keeping them."""

from functools import partial
from typing import Literal

from diffusers.models.attention import Attention, FeedForward
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock
from torch.utils.checkpoint import checkpoint

from exvideo.models.identity_conv import FactorisedIdentityConv3d, IdentityConv3d

CheckpointPolicy = Literal["none", "block", "part"]

PARTS = (
    ResnetBlock2D,
    TemporalResnetBlock,
    Attention,
    FeedForward,
    IdentityConv3d,
    FactorisedIdentityConv3d,
)


def checkpoint_activations(unet: ModelMixin, policy: CheckpointPolicy) -> None:
    """Set which activations `unet` keeps for its backward pass. Results do not change.

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
    if policy == "none":
        unet.disable_gradient_checkpointing()
    else:
        unet.enable_gradient_checkpointing(partial(checkpoint, use_reentrant=False))
    for module in unet.modules():
        if isinstance(module, PARTS):
            # The wrapped forward lives on the instance, over the class's own.
            vars(module).pop("forward", None)
            if policy == "part":
                vars(module)["forward"] = partial(checkpoint, module.forward, use_reentrant=False)
