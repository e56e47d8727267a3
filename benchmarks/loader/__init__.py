"""Our latent shards beside other formats that one might train from."""
