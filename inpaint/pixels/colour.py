"""Convert between sRGB and CIE LAB (D65), in float32: distances in LAB match how different colours look."""

from __future__ import annotations

import numpy as np

RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float32)
WHITE = RGB_TO_XYZ.sum(1)
KNEE = (6 / 29) ** 3


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB uint8 [..., 3] to LAB float32 [..., 3]: L 0 … 100, a and b about ±100."""
    c = rgb.astype(np.float32) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    t = linear @ RGB_TO_XYZ.T / WHITE
    f = np.where(t > KNEE, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Convert LAB float32 [..., 3] to sRGB uint8 [..., 3]; colours outside sRGB are clipped."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * WHITE
    linear = np.clip(xyz @ np.linalg.inv(RGB_TO_XYZ).T, 0, 1)
    c = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (c * 255).round().astype(np.uint8)
