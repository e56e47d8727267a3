"""One call that extends a video model, whatever its architecture."""

from diffusers.models.unets.unet_spatio_temporal_condition import (
    UNetSpatioTemporalConditionModel,
)

from exvideo.models.identity_conv import ConvKind
from exvideo.models.positions import TableInit
from exvideo.models.svd import ExtendedUNet, complete_svd, extend_svd, resize_svd
from exvideo.models.trainable import freeze_base


def extend(
    unet: UNetSpatioTemporalConditionModel,
    num_frames: int,
    *,
    table_init: TableInit = "ping_pong",
    native_frames: int | None = None,
    conv: ConvKind = "dense",
    lora_rank: int | None = None,
) -> ExtendedUNet:
    """Extend `unet` in place to clips of up to `num_frames` frames, and freeze its base.

    Before training, clips of up to `native_frames` frames come out as the base makes them.

    Args:
        unet: a base model; the same object is returned, and still is what it was, so that it
            runs wherever the base ran.
        num_frames: N, the rows of each trainable table.
        table_init: the native positions that the rows start from; `ping_pong` is the original's.
        native_frames: the length that the base was trained on; its configuration's by default.
        conv: the identity convolution; `dense` is the original's, `factorised` has a ninth of
            its weights and `depthwise` next to none.
        lora_rank: train low-rank updates of the temporal self-attentions instead of whole
            temporal blocks with their position MLPs.
    """
    if not isinstance(unet, UNetSpatioTemporalConditionModel):
        raise TypeError(f"There is no extension for {type(unet).__name__}.")
    extended = extend_svd(
        unet,
        num_frames,
        table_init=table_init,
        native_frames=native_frames,
        conv=conv,
        lora_rank=lora_rank,
    )
    freeze_base(extended)
    return extended


def resize(unet: ExtendedUNet, num_frames: int) -> ExtendedUNet:
    """Cut down or continue a trained table in place, to train or generate at another length.

    Trained rows are kept; further rows continue the walk over them (`positions.resize_rows`).
    Make the optimizer afterwards: the tables are new parameters.
    """
    _refuse_base(unet)
    return resize_svd(unet, num_frames)


def to_full_form(unet: ExtendedUNet) -> ExtendedUNet:
    """Turn an efficient variant into the original's form in place: same outputs, 528 tensors.

    Its convolutions become dense and LoRA's updates are added to their weights, so that it can be
    saved in the published layout or trained on in full.
    """
    _refuse_base(unet)
    complete_svd(unet)
    freeze_base(unet)
    return unet


def _refuse_base(unet: ExtendedUNet) -> None:
    if not isinstance(unet, ExtendedUNet):
        raise TypeError(f"{type(unet).__name__} is not extended: call exvideo.models.extend.")
