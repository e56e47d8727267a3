"""Where on the road an asset stands, as a picture in its description."""

import base64

import dagster as dg

STATIONS = {
    "source_videos": "videos",
    "clips": "clips",
    "latent_shards": "latents",
    "post_tuned_model": "model",
    "evaluation_grid": "evaluation",
    "champion": "champion",
}
"""What each asset is called in the picture, in the road's order."""

_WIDTH, _STEP, _HEIGHT = 96, 116, 34


def with_picture(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Below its words the road, the asset's station filled: the graph shows how they begin."""
    picture = base64.b64encode(_drawn(spec.key.path[-1]).encode()).decode()
    below = f"![the road](data:image/svg+xml;base64,{picture})"
    return spec.replace_attributes(description=f"{spec.description}\n\n{below}")


def _drawn(asset: str) -> str:
    """SVG: a box a station, a line from each to the next."""
    parts = []
    for place, (station, word) in enumerate(STATIONS.items()):
        left, here = place * _STEP + 1, station == asset
        if place:
            parts.append(f'<path d="M{left - _STEP + _WIDTH} 18h{_STEP - _WIDTH}" stroke="#777"/>')
        fill, ink = ("#4f43dd", "#fff") if here else ("#fff", "#555")
        parts.append(
            f'<rect x="{left}" y="1" width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="{fill}" '
            'stroke="#777"/>'
            f'<text x="{left + _WIDTH // 2}" y="23" fill="{ink}" text-anchor="middle" '
            f'font-family="sans-serif" font-size="14">{word}</text>'
        )
    width = (len(STATIONS) - 1) * _STEP + _WIDTH + 2
    size = f'width="{width}" height="{_HEIGHT + 2}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'
