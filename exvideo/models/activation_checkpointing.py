"""Recomputing activations in the backward pass instead of keeping them."""

from collections.abc import Callable, Collection
from functools import partial
from inspect import ismethod
from typing import Any, Literal

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


RunRegion = Callable[..., Any]
"""Called as `run(name, part, *inputs)`, to return `part(*inputs)`."""


def run_regions(model: ModelMixin, run: RunRegion) -> None:
    """Let `run` do every region that `block` recomputes, where gradients are wanted.

    A region has the name of its module; a temporal part has that of its temporal block.
    """
    for name, module in model.named_modules():
        vars(module)["region"] = name  # which a copy of the model has, too

    def named(part: Any, *inputs: Any) -> Any:
        return run((inputs[0] if ismethod(part) else part).region, part, *inputs)

    model.enable_gradient_checkpointing(named)


def _run_again(keep: frozenset[str], name: str, part: Callable[..., Any], *inputs: Any) -> Any:
    return part(*inputs) if name in keep else checkpoint(part, *inputs, use_reentrant=False)


def checkpoint_activations(
    model: ModelMixin, policy: CheckpointPolicy, keep: Collection[str] = ()
) -> None:
    """Set which activations `model` keeps for its backward pass. Results do not change.

    - `none`: all of them; the fastest, and the largest.
    - `block`: only the inputs of residual blocks, of spatial transformer blocks and of the
      temporal parts (positions, convolution and temporal block together).
    - `part`: as `block`; and while a block is recomputed, its residual blocks, attentions,
      feed-forwards and convolution keep only their own inputs and are recomputed one by one.
      One more forward pass of those, and a lower peak, which the largest block sets.

    Of the blocks those that `keep` names, as `run_regions` names them, keep all of theirs.

    Always non-reentrant: frozen inputs and DeepSpeed's ZeRO-3 need that.
    """
    if policy not in ("none", "block", "part"):
        raise ValueError(f"policy is {policy!r}, expected 'none', 'block' or 'part'.")
    wrapped: tuple[type, ...] = ()
    if model._supports_gradient_checkpointing:
        model.disable_gradient_checkpointing()
        if policy != "none":
            run_regions(model, partial(_run_again, frozenset(keep)))
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
