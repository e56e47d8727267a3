import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from upath import UPath

from exvideo.clips.scan import scan
from exvideo.video.crop import Crop, centre_crop
from exvideo.video.decoder import DecodeError, Decoder
from exvideo.video.frames import cropped_frames
from exvideo.video.write import write_mp4
from tests.video import conduct
from tests.video.real import real_clip, with_flipped_bytes

BIKES = real_clip("bikes")
BIKES_FRAMES, BIKES_HEIGHT, BIKES_WIDTH = 250, 272, 640


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(timeout_s=50) as decoder:
        yield decoder


def pyav_frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def decode(decoder: Decoder, path: Path) -> int:
    *_, seen = decoder.stream(scan, path, 27.0)
    return seen.num_frames - sum(found.end - found.start for found in seen.damage)


def assert_still_decodes(decoder: Decoder) -> None:
    assert decode(decoder, BIKES) == BIKES_FRAMES


def test_frames_are_those_of_another_decoder_from_any_frame_on(decoder: Decoder) -> None:
    whole = Crop(0, 0, BIKES_HEIGHT, BIKES_WIDTH)
    expected = pyav_frames(BIKES)[37 : 37 + 5 * 3 : 3]
    size = (BIKES_HEIGHT, BIKES_WIDTH)
    read = np.stack(list(decoder.stream(cropped_frames, BIKES, 37, 5, 3, whole, *size)))
    np.testing.assert_array_equal(read, expected)


def test_decoding_in_bursts_loses_and_repeats_no_frame() -> None:
    with Decoder(timeout_s=60) as own:
        frames = own.stream(conduct.in_small_bursts, BIKES, BIKES_FRAMES)
        for read, expected in zip(frames, pyav_frames(BIKES), strict=True):
            np.testing.assert_array_equal(read, expected)


# decord takes the row padding of some of these widths for colour channels.
@pytest.mark.parametrize("width", [16, 32, 48, 64, 80, 96, 144, 200])
def test_narrow_frames_are_read_right(decoder: Decoder, tmp_path: Path, width: int) -> None:
    columns = np.linspace(0, 255, width).astype(np.uint8)
    frames = np.broadcast_to(columns[None, None, :, None], (3, 32, width, 3))
    write_mp4(tmp_path / "narrow.mp4", frames, fps=24, crf=1)
    window = (0, 3, 1, Crop(0, 0, 32, width), 32, width)
    read = np.stack(list(decoder.stream(cropped_frames, tmp_path / "narrow.mp4", *window)))
    assert np.abs(read.astype(int) - frames).max() <= 6


def test_a_crop_is_shrunk_without_aliasing(decoder: Decoder) -> None:
    crop = centre_crop(Crop(0, 0, BIKES_HEIGHT, BIKES_WIDTH), 68, 68)
    read = next(iter(decoder.stream(cropped_frames, BIKES, 10, 1, 1, crop, 68, 68)))
    middle = pyav_frames(BIKES)[10][:, (640 - 272) // 2 : (640 + 272) // 2]
    means = middle.reshape(68, 4, 68, 4, 3).mean(axis=(1, 3))
    assert np.abs(read - means).max() <= 1.0


def test_damage_anywhere_is_noticed_and_costs_only_its_file(
    decoder: Decoder, tmp_path: Path
) -> None:
    content = BIKES.read_bytes()
    noticed: dict[Path, DecodeError | None] = {}
    for seed in range(12):
        damaged = tmp_path / f"{seed}.mp4"
        damaged.write_bytes(with_flipped_bytes(content, seed, count=10 ** (1 + seed % 3)))
        try:
            if decode(decoder, damaged) < BIKES_FRAMES:
                noticed[damaged] = None
        except DecodeError as error:
            noticed[damaged] = error
    assert len(noticed) >= 10  # a few flips may fall where no frame looks
    refused = {damaged: error for damaged, error in noticed.items() if error}
    assert all(error.path == damaged for damaged, error in refused.items())
    assert all(error.permanent for error in refused.values())
    assert_still_decodes(decoder)


def test_a_file_that_aborts_the_process_costs_only_itself(decoder: Decoder, tmp_path: Path) -> None:
    content = real_clip("carphone_distorted").read_bytes()
    # These four bytes of the index make decord ask for more memory than there is.
    damaged = with_flipped_bytes(content, seed=715, count=4, start=content.index(b"moov"))
    (tmp_path / "abort.mp4").write_bytes(damaged)
    with pytest.raises(DecodeError, match="SIGABRT") as caught:
        decode(decoder, tmp_path / "abort.mp4")
    assert caught.value.permanent
    assert_still_decodes(decoder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"this is no video\n" * 99),
        ("truncated.mp4", BIKES.read_bytes()[:300_000]),
    ],
)
def test_what_is_no_video_is_refused(
    decoder: Decoder, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DecodeError, match=name):
        decode(decoder, tmp_path / name)


def test_a_missing_file_may_come_back(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="gone") as caught:
        decode(decoder, tmp_path / "missing.mp4")
    assert not caught.value.permanent


def test_a_file_elsewhere_is_fetched_first(decoder: Decoder) -> None:
    remote = UPath("memory://videos/bikes.mp4")
    remote.write_bytes(BIKES.read_bytes())
    *_, seen = decoder.stream(scan, remote, 27.0)
    assert seen.num_frames == BIKES_FRAMES


def test_a_file_elsewhere_is_fetched_once_until_another_is_read(decoder: Decoder) -> None:
    remote = UPath("memory://videos/bikes-once.mp4")
    remote.write_bytes(BIKES.read_bytes())
    whole = Crop(0, 0, 272, 640)

    def first_frame(path: Path | UPath) -> np.ndarray:
        (frame,) = decoder.stream(cropped_frames, path, 0, 1, 1, whole, 272, 640)
        return frame

    expected = first_frame(remote)
    remote.unlink()
    assert (first_frame(remote) == expected).all()
    assert (first_frame(BIKES) == expected).all()
    with pytest.raises(DecodeError, match="the file is gone"):
        first_frame(remote)


def test_a_file_that_takes_too_long_is_left() -> None:
    with Decoder(timeout_s=5) as impatient:
        with pytest.raises(DecodeError, match="within 5 s") as caught:
            list(impatient.stream(conduct.hangs, BIKES))
        assert not caught.value.permanent
        assert len(list(impatient.stream(conduct.process_id, BIKES))) == 1


def test_a_process_that_the_system_kills_is_replaced(decoder: Decoder) -> None:
    with pytest.raises(DecodeError, match="SIGKILL") as caught:
        list(decoder.stream(conduct.is_killed, BIKES))
    assert not caught.value.permanent
    assert_still_decodes(decoder)


def test_a_process_that_is_killed_before_it_is_ready_is_no_mistake_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = SpawnProcess.start

    def killed(process: SpawnProcess) -> None:
        start(process)
        process.kill()

    with Decoder(60) as decoder:
        monkeypatch.setattr(SpawnProcess, "start", killed)
        with pytest.raises(DecodeError, match="SIGKILL") as caught:
            list(decoder.stream(conduct.process_id, BIKES))
        monkeypatch.undo()
        assert not caught.value.permanent
        assert_still_decodes(decoder)


def test_a_process_that_is_killed_between_two_files_costs_neither(decoder: Decoder) -> None:
    (process_id,) = decoder.stream(conduct.process_id, BIKES)
    process = psutil.Process(process_id)
    process.kill()
    psutil.wait_procs([process])
    assert_still_decodes(decoder)


def test_a_mistake_in_our_code_is_not_blamed_on_the_file(decoder: Decoder) -> None:
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        list(decoder.stream(conduct.is_wrong, BIKES))


def test_a_stream_that_is_left_early_disturbs_no_other(decoder: Decoder) -> None:
    stream = decoder.stream(scan, BIKES, 27.0)
    next(iter(stream))
    stream.close()
    assert_still_decodes(decoder)


def test_the_process_ends_with_its_parent() -> None:
    script = """
import time
from pathlib import Path
from exvideo.video.decoder import Decoder
from tests.video import conduct
if __name__ == "__main__":
    with Decoder(30) as decoder:
        print(*decoder.stream(conduct.process_id, Path(conduct.__file__)), flush=True)
        time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    child.wait(timeout=200)


def test_decord_stays_in_the_decoders_process(decoder: Decoder) -> None:
    """Where decord comes before torch, torch's matrix products crash."""
    assert decode(decoder, BIKES) == BIKES_FRAMES
    assert "decord" not in sys.modules
