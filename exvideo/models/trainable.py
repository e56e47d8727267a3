"""Which tensors make up an extension, and which of them are trained."""

from torch import nn

from exvideo.models.svd import ExtendedTransformer, transformers

EXTENSION_MODULES = (
    "positional_embedding",
    "positional_conv",
    "time_pos_embed",
    "temporal_transformer_blocks",
)


def extension_parameters(unet: nn.Module) -> dict[str, nn.Parameter]:
    """Every tensor that the extension adds or replaces, by its name in the U-Net.

    For SVD these are the original's 528 tensors: of each of the 16 transformers the table, the
    convolution, the position MLP and the whole temporal block. Temporal residual blocks, mixing
    factors and output projections stay the base's.
    """
    parameters = {}
    for name, transformer in transformers(unet).items():
        if not isinstance(transformer, ExtendedTransformer):
            raise ValueError("The U-Net is not extended: call exvideo.models.extend first.")
        for part in EXTENSION_MODULES:
            for key, parameter in getattr(transformer, part).named_parameters():
                parameters[f"{name}.{part}.{key}"] = parameter
    return parameters


def freeze_base(unet: nn.Module) -> None:
    """The paper's rule: freeze all but the extension."""
    unet.requires_grad_(False)
    for parameter in extension_parameters(unet).values():
        parameter.requires_grad_(True)


def trainable_parameters(unet: nn.Module) -> dict[str, nn.Parameter]:
    """The tensors that an optimizer should get, by name, in the model's order."""
    return {
        name: parameter for name, parameter in unet.named_parameters() if parameter.requires_grad
    }


def extension_shapes(unet: nn.Module, num_frames: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the extension's tensors at `num_frames`; `unet` may be a base still."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, transformer in transformers(unet).items():
        channels = transformer.in_channels
        shapes[f"{name}.positional_embedding.embeddings"] = (num_frames, channels)
        shapes[f"{name}.positional_conv.weight"] = (channels, channels, 3, 3, 3)
        shapes[f"{name}.positional_conv.bias"] = (channels,)
        for part in ("time_pos_embed", "temporal_transformer_blocks"):
            for key, parameter in getattr(transformer, part).named_parameters():
                shapes[f"{name}.{part}.{key}"] = tuple(parameter.shape)
    return shapes


def extension_state(unet: nn.Module) -> dict:
    """The extension's tensors by name, detached, as they are (no copy)."""
    return {name: parameter.detach() for name, parameter in extension_parameters(unet).items()}
