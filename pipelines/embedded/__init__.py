"""Programs that train and measure the models shipped in `exvideo/weights`."""
