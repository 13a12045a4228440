"""Describe inpainting as an MCP tool: its name, arguments and answers, for the page and for standard input."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from .. import request

if TYPE_CHECKING:
    from mcp import types
    from PIL import Image

NAME = "inpaint"
ABOUT = (
    "Repaint the masked part of a picture with Stable Diffusion; every other pixel stays as it is. "
    "White in the mask is repainted, grey changes less, black stays. "
)
PREVIEW = 768  # pixels on the long side of the preview for the assistant


def schema(picture: str, **more: str) -> dict[str, Any]:
    """Return the tool's arguments as a JSON schema.

    picture  the description of the picture argument
    more     {name: description} of further text arguments
    """
    texts = {
        "picture": picture,
        "mask": "The mask, given in the same way, of the same scene. Leave it out only with the settings `expand` or "
        "`mask_from_alpha`, or to change the whole picture.",
        "prompt": "What to paint there, in English; leave it out to remove what is there.",
        **more,
    }
    properties: dict[str, Any] = {name: {"type": "string", "description": text} for name, text in texts.items()}
    about = 'Further options, such as {"steps": 20, "seed": 7}; all may be left out.'
    properties["settings"] = request.schema() | {"description": about}
    return {"type": "object", "properties": properties, "required": ["picture"]}


def preview(image: Image.Image) -> bytes:
    """Return a JPEG of at most 768 pixels a side, which an assistant can look at."""
    small = image.convert("RGB")
    small.thumbnail((PREVIEW, PREVIEW))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def image(jpeg: bytes) -> types.ImageContent:
    """Return the JPEG as MCP image content for the assistant."""
    from mcp import types

    return types.ImageContent(type="image", data=base64.b64encode(jpeg).decode(), mimeType="image/jpeg")


def failed(sentence: str) -> types.CallToolResult:
    """Return a failed answer, with a sentence that tells the assistant why."""
    from mcp import types

    return types.CallToolResult(content=[types.TextContent(type="text", text=sentence)], isError=True)
