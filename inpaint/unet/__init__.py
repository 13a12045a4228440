"""Run the UNet quickly: layer by layer, with cached features, prepacked convolutions or OpenVINO."""
