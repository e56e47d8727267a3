from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from exvideo.clips.scan import scan
from exvideo.video import decord_frames
from exvideo.video.crop import Crop
from exvideo.video.decoder import DecodeError, Decoder
from exvideo.video.decord_frames import suits_decord
from exvideo.video.frames import cropped_frames
from exvideo.video.packets import opened, video_packets
from exvideo.video.write import write_mp4
from tests.video import conduct
from tests.video.encoded import FRAMES, HEIGHT, KINDS, WIDTH, encode, moving, turned

ODD_TIMES = [40 * k + 7 * (k % 5) + 3000 * (k > 30) for k in range(FRAMES)]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(timeout_s=60) as decoder:
        yield decoder


def in_order(path: Path) -> np.ndarray:
    """All frames, decoded by PyAV from the first to the last."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def read(decoder: Decoder, path: Path, start: int, count: int, stride: int = 1) -> np.ndarray:
    window = (start, count, stride, Crop(0, 0, HEIGHT, WIDTH), HEIGHT, WIDTH)
    return np.stack(list(decoder.stream(cropped_frames, path, *window)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frames_number_names_the_same_frame_wherever_reading_begins(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    expected = in_order(path)
    for start in range(FRAMES):
        np.testing.assert_array_equal(read(decoder, path, start, 1)[0], expected[start])
    np.testing.assert_array_equal(read(decoder, path, 5, 9, 6), expected[5::6][:9])


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_counts_the_frames_that_are_read(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    *_, seen = decoder.stream(scan, path, 27.0)
    assert (seen.num_frames, seen.damage, seen.outline.height) == (FRAMES, [], HEIGHT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_looked_through_reads_the_same(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    before = read(decoder, path, 7, 12, 4)
    assert list(decoder.stream(conduct.at_hand_after_a_scan, path, 1 << 30)) == [FRAMES]
    np.testing.assert_array_equal(read(decoder, path, 7, 12, 4), before)


def test_frames_stay_at_hand_only_where_all_fit_and_are_sound(
    decoder: Decoder, tmp_path: Path
) -> None:
    path = encode(tmp_path, "h264 in mkv", moving())
    room = 2 * FRAMES * HEIGHT * WIDTH  # for all frames, of 1.5 bytes a pixel
    for bytes_that_fit, held in ((room // 2, 0), (room, FRAMES)):
        assert list(decoder.stream(conduct.at_hand_after_a_scan, path, bytes_that_fit)) == [held]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert list(decoder.stream(conduct.at_hand_after_a_scan, path, room)) == [0]


def test_decord_opens_no_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(encode(tmp_path, "h264", moving())) as (container, stream):
        packets = video_packets(container, stream)
        for longest, suits in ((FRAMES, True), (FRAMES - 1, False)):
            monkeypatch.setattr(decord_frames, "LONGEST", longest)
            assert suits_decord(container, stream, packets) == suits


@pytest.mark.parametrize("kind", ["h264", "h264 in mkv", "vp9", "mpeg4 in avi", "mjpeg", "prores"])
def test_both_readers_give_the_same_bytes(decoder: Decoder, tmp_path: Path, kind: str) -> None:
    path = encode(tmp_path, kind, moving())
    frames = zip(
        decoder.stream(conduct.by_decord, path, 7, 40),
        list(decoder.stream(conduct.by_pyav, path, 7, 40)),
        strict=False,
    )
    compared = [np.array_equal(one, other) for one, other in frames]
    assert compared == [True] * 40


@pytest.mark.parametrize("kind", ["h264", "h264 in mkv"])
def test_frames_at_uneven_times_keep_their_numbers(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving(), ODD_TIMES)
    expected = in_order(path)
    for start in range(0, FRAMES - 3, 5):
        np.testing.assert_array_equal(read(decoder, path, start, 3), expected[start : start + 3])


def test_odd_sizes_lose_no_column(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264 4:4:4", moving()[:, : HEIGHT - 1, : WIDTH - 3])
    window = (9, 2, 1, Crop(0, 0, HEIGHT - 1, WIDTH - 3), HEIGHT - 1, WIDTH - 3)
    frames = np.stack(list(decoder.stream(cropped_frames, path, *window)))
    np.testing.assert_array_equal(frames, in_order(path)[9:11])


def test_tagged_colours_are_the_same_from_both_readers(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    write_mp4(path, moving(), fps=24)
    by_decord = list(decoder.stream(conduct.by_decord, path, 0, 20))
    by_pyav = list(decoder.stream(conduct.by_pyav, path, 0, 20))
    np.testing.assert_array_equal(by_decord, by_pyav)


@pytest.mark.parametrize("kind", ["h264", "vp9 in mp4"])
@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_turned_videos_are_upright_from_both_readers(
    decoder: Decoder, tmp_path: Path, matrix: tuple[int, int, int, int], kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    turned(path, matrix)
    by_decord = np.stack(list(decoder.stream(conduct.by_decord, path, 0, 5))).astype(int)
    by_pyav = np.stack(list(decoder.stream(conduct.by_pyav, path, 0, 5)))
    *_, seen = decoder.stream(scan, path, 27.0)
    assert by_decord.shape[1:3] == (seen.outline.height, seen.outline.width)
    # decord turns before it makes RGB of the samples, which blends colours at other places.
    assert np.abs(by_decord - by_pyav).mean() < 1


def test_frames_that_an_edit_list_hides_have_no_number(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", moving())
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 4 + 8  # one entry: its length and where it begins
    begins = int.from_bytes(content[place + 4 : place + 8], "big")
    content[place + 4 : place + 8] = (begins + 20 * 512).to_bytes(4, "big")
    path.write_bytes(content)
    expected = in_order(path)
    assert len(expected) == FRAMES - 20
    *_, seen = decoder.stream(scan, path, 27.0)
    assert (seen.num_frames, seen.damage) == (FRAMES - 20, [])
    np.testing.assert_array_equal(read(decoder, path, 30, 2), expected[30:32])


def test_a_file_on_whose_length_its_readers_disagree_is_refused(
    decoder: Decoder, tmp_path: Path
) -> None:
    path = encode(tmp_path, "h264", moving())
    with pytest.raises(DecodeError, match="decord counts 60 frames, PyAV 61"):
        list(decoder.stream(conduct.compares_with, path, 61))
