import pytest

from exvideo.config.base_folder import check_size
from exvideo.errors import InputError
from exvideo.generation.frame_size import fitting_size


@pytest.mark.parametrize(
    ("picture", "area", "size"),
    [
        ((1920, 1080), 768 * 768, (576, 1024)),  # SVD's own
        ((1080, 1920), 768 * 768, (1024, 576)),
        ((3000, 3000), 512 * 512, (512, 512)),  # ExVideo's own
        ((3, 2), 512 * 512, (448, 640)),
        ((20, 1), 512 * 512, (128, 2560)),
    ],
)
def test_a_size_keeps_area_and_aspect_in_multiples_of_64(
    picture: tuple[int, int], area: int, size: tuple[int, int]
) -> None:
    assert fitting_size(picture[0] / picture[1], area, 64) == size


@pytest.mark.parametrize("size", [(500, 512), (512, 0), (-64, 64)])
def test_other_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="multiples of 64"):
        check_size(*size, 64)
