"""Work on pixels: masks, crops, fills, blending and measurements."""
