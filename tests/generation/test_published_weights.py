import torch

from exvideo.generation.published_weights import mend_contrast


def test_every_frame_gets_the_clips_mean_and_spread_and_then_the_contrast() -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 6, 4, 8, 8, generator=generator)
    flickering = latents * torch.linspace(0.5, 2, 6).view(1, 6, 1, 1, 1) + 0.3
    mended = mend_contrast(flickering, contrast=1.2)
    for clip, original in zip(mended, flickering, strict=True):
        for frame in clip:
            torch.testing.assert_close(frame.mean(), 1.2 * original.mean(), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(frame.std(), 1.2 * original.std(), atol=1e-5, rtol=1e-4)


def test_a_clip_of_equal_statistics_is_only_multiplied() -> None:
    frame = torch.randn(1, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    clip = torch.cat([frame, frame.flip(-1), frame.flip(-2)], dim=1)
    mended = mend_contrast(clip, contrast=1.0)
    # n - 1 in the standard deviation counts a frame's and a clip's values differently.
    torch.testing.assert_close(mended, clip, atol=1e-2, rtol=1e-2)
