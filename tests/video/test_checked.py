import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

from exvideo.clips.scan import Scan, scan
from exvideo.video.checked import CheckedVideo
from exvideo.video.crop import Crop
from exvideo.video.decoder import DecodeError, Decoder
from exvideo.video.frames import cropped_frames
from exvideo.video.packets import opened
from tests.video.encoded import FRAMES, HEIGHT, KINDS, WIDTH, encode, moving, spoil

ROOT = Path(__file__).parents[2]

SPOILT = 17
"""In the middle of the group of pictures that begins with frame 12 and ends before 24."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(timeout_s=60) as decoder:
        yield decoder


def scanned(decoder: Decoder, path: Path) -> Scan:
    *_, seen = decoder.stream(scan, path, 27.0)
    return seen


def read(decoder: Decoder, path: Path, start: int, end: int) -> np.ndarray:
    window = (start, end - start, 1, Crop(0, 0, HEIGHT, WIDTH), HEIGHT, WIDTH)
    return np.stack(list(decoder.stream(cropped_frames, path, *window)))


def cut_off(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])


@pytest.mark.parametrize("kind", ["h264", "h264 in mkv", "vp9"])
def test_damage_reaches_from_its_frame_to_the_next_key_frame(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    spoil(path, SPOILT)
    (damage,) = scanned(decoder, path).damage
    # A frame shown later may have been decoded, and spoilt others, before.
    assert SPOILT - 2 <= damage.start <= SPOILT
    assert damage.end == 24


@pytest.mark.parametrize("kind", ["mpeg4 in avi"])
def test_where_decoders_overlook_damage_it_takes_the_group_from_its_key_frame(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    expected = read(decoder, path, 0, FRAMES)
    spoil(path, SPOILT)
    (damage,) = scanned(decoder, path).damage
    assert damage.start <= 14
    assert damage.end <= 36
    after = read(decoder, path, damage.end, FRAMES)
    np.testing.assert_array_equal(after, expected[damage.end :])


@pytest.mark.parametrize("kind", ["h264", "h264 open", "h264 in mkv", "vp9", "mpeg4"])
def test_what_is_sound_on_both_sides_is_read_as_if_nothing_were_damaged(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    expected = read(decoder, path, 0, FRAMES)
    spoil(path, SPOILT)
    (damage,) = scanned(decoder, path).damage
    before, after = (0, damage.start), (damage.end, FRAMES)
    assert after[1] - after[0] >= 24
    for start, end in (before, after):
        np.testing.assert_array_equal(read(decoder, path, start, end), expected[start:end])


@pytest.mark.parametrize("kind", ["hevc", "hevc open", "mjpeg"])
def test_where_decoders_overlook_most_damage_none_of_the_file_is_trusted(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    spoil(path, SPOILT)
    with pytest.raises(DecodeError, match=r"sound \(frames \d+ to \d+ .*overlooks most damage"):
        scanned(decoder, path)


def with_surplus_bytes(source: Path, target: Path, frames: range) -> None:
    """Copy an MJPEG file with bytes between the code's end and the picture's in some frames."""
    with av.open(str(source)) as read_from, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(read_from.streams.video[0])
        for number, packet in enumerate(read_from.demux(video=0)):
            content = bytes(packet)
            if number in frames:
                content = content[:-2] + bytes(8) + content[-2:]
            if content:
                changed = av.Packet(content)
                changed.stream, changed.time_base = stream, packet.time_base
                changed.pts, changed.dts = packet.pts, packet.dts
                changed.is_keyframe = True
                written.mux(changed)


def test_a_jpeg_whose_code_ends_before_its_bytes_is_damaged(
    decoder: Decoder, tmp_path: Path
) -> None:
    with_surplus_bytes(
        encode(tmp_path, "mjpeg", moving()), tmp_path / "changed.avi", range(SPOILT, SPOILT + 1)
    )
    with pytest.raises(DecodeError, match=rf"frames {SPOILT} to {SPOILT} \(Corrupt JPEG"):
        scanned(decoder, tmp_path / "changed.avi")


def test_what_a_camera_writes_in_every_jpeg_is_no_damage(decoder: Decoder, tmp_path: Path) -> None:
    with_surplus_bytes(encode(tmp_path, "mjpeg", moving()), tmp_path / "changed.avi", range(FRAMES))
    assert scanned(decoder, tmp_path / "changed.avi").damage == []


def test_two_damages_are_two_stretches(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", moving())
    spoil(path, SPOILT)
    spoil(path, 41)
    first, second = scanned(decoder, path).damage
    assert (first.end, second.end) == (24, 48)
    assert first.reason


@pytest.mark.parametrize("kind", ["h264", "h264 in mkv", "vp9", "mjpeg"])
def test_of_a_file_that_is_cut_off_the_beginning_is_sound_and_the_end_is_said_to_be_missing(
    decoder: Decoder, tmp_path: Path, kind: str
) -> None:
    path = encode(tmp_path, kind, moving())
    if kind == "h264":  # its index would be cut off
        path = with_index_in_front(path)
    expected = read(decoder, path, 0, FRAMES)
    cut_off(path, 0.6)
    (damage,) = scanned(decoder, path).damage
    assert 12 <= damage.start < FRAMES
    assert damage.end >= damage.start
    sound = read(decoder, path, 0, damage.start)
    np.testing.assert_array_equal(sound, expected[: damage.start])


def with_index_in_front(path: Path) -> Path:
    moved = path.with_name("moved.mp4")
    with (
        av.open(str(path)) as old,
        av.open(str(moved), "w", options={"movflags": "+faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    return moved


def test_the_missing_frames_of_a_cut_off_file_are_counted_from_its_index(
    decoder: Decoder, tmp_path: Path
) -> None:
    path = with_index_in_front(encode(tmp_path, "h264", moving()))
    cut_off(path, 0.6)
    seen = scanned(decoder, path)
    assert (seen.num_frames, seen.damage[-1].end) == (FRAMES, FRAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_not_called_damaged(decoder: Decoder, tmp_path: Path, kind: str) -> None:
    assert scanned(decoder, encode(tmp_path, kind, moving())).damage == []


def test_a_file_without_a_sound_frame_is_refused(decoder: Decoder, tmp_path: Path) -> None:
    path = encode(tmp_path, "h264", moving())
    for key in range(0, FRAMES, 12):
        spoil(path, key)
    with pytest.raises(DecodeError, match="none of its 60 frames is sound"):
        scanned(decoder, path)


def test_a_file_without_video_is_refused(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    with pytest.raises(DecodeError, match="holds no video"):
        scanned(decoder, path)


@pytest.mark.parametrize(
    ("level", "damaged"), [(av.logging.ERROR, True), (av.logging.WARNING, False)]
)
def test_what_ffmpeg_logs_counts_by_its_level_whatever_its_words(
    tmp_path: Path, level: int, damaged: bool
) -> None:
    log: list[tuple[int, str, str]] = []
    with opened(encode(tmp_path, "h264", moving())) as (container, stream):
        video = CheckedVideo(container, stream, log)
        for number, _ in enumerate(video.frames()):
            if number == SPOILT:
                log.append((level, "h264", "words that nobody has foreseen"))
        damage = video.verdict().damage
    assert [found.reason for found in damage] == ["words that nobody has foreseen"] * damaged


@pytest.mark.parametrize("imports", ["import decord, av", "import av, decord"])
def test_damage_is_seen_whichever_decoder_is_imported_first(
    decoder: Decoder, tmp_path: Path, imports: str
) -> None:
    path = encode(tmp_path, "h264", moving())
    spoil(path, SPOILT)
    script = f"""
{imports}
from pathlib import Path
from exvideo.clips.scan import scan
*_, seen = scan(Path({str(path)!r}), 27.0)
print(seen.num_frames, seen.cuts, seen.damage)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    seen = scanned(decoder, path)
    assert seen.damage
    assert done.stdout == f"{seen.num_frames} {seen.cuts} {seen.damage}\n"
