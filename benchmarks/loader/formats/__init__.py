"""One module a format; each has what `benchmarks.loader.format.Format` lists."""

MODULES = (
    "exvideo_shards",
    "safetensors_files",
    "lightning_litdata",
    "mosaic_streaming",
    "megatron_energon",
    "plain_webdataset",
    "fastvideo_parquet",
)
