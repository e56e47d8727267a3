"""torch.compile, a block at a time."""

from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock
from torch import nn

COMPILED = (
    ResnetBlock2D,
    TemporalResnetBlock,
    BasicTransformerBlock,
    TemporalBasicTransformerBlock,
)


def compile_blocks(model: nn.Module) -> None:
    """Compile residual and transformer blocks in place, each kind and shape at its first call.

    Blocks rather than the whole: equal ones share their code, activations are still computed again
    by block, and names and tensors stay as they are.
    """
    for module in model.modules():
        if isinstance(module, COMPILED):
            module.compile(dynamic=False)
