"""Clean XMP packets: remove what has become wrong, copies of the photo, and on request the place; mark AI's work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .embedded import holds_picture

Node = Any  # of xml.dom.minidom: an element or an attribute

LONGEST = 1_000_000  # bytes
TIFF, XAP, EXIF, NOTE = (f"http://ns.adobe.com/{name}/" for name in ("tiff/1.0", "xap/1.0", "exif/1.0", "xmp/note"))
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmp"
EXTENSION = f"{IPTC}Ext/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"  # IPTC's words for how a picture came about
MARKS = ("DigitalSourceType", "AISystemUsed")  # IPTC Photo Metadata Standard 2025.1
EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="' + RDF.encode() + b'"/></x:xmpmeta><?xpacket end="w"?>'
)
GOOGLE = tuple(f"http://ns.google.com/photos/1.0/{kind}/" for kind in ("image", "depthmap", "camera", "container"))
STALE = {(XAP, "Thumbnails"), (NOTE, "HasExtendedXMP")}
PLACES = {"City", "State", "Country", "Location", "CountryCode", "LocationCreated", "LocationShown"}


def cleaned(packet: object) -> bytes | None:
    """Remove orientation, thumbnails and embedded pictures; return None if the packet is not XMP."""
    return _without(packet, _is_stale)


def without_place(packet: bytes | None) -> bytes | None:
    """Remove GPS and place names; return None if the packet cannot be read, since it might hide a place."""
    return _without(packet, _is_place)


def marked(packet: bytes | None, source: str, system: str) -> bytes:
    """Return the packet with IPTC's fields for AI set; a new packet if there is none or it cannot be read.

    source  the last part of IPTC's address, such as compositeWithTrainedAlgorithmicMedia
    system  the program and the model
    """
    from xml.dom import minidom

    old = _without(packet, lambda node: node.namespaceURI == EXTENSION and node.localName in MARKS) or EMPTY
    document = minidom.parseString(old.rstrip(b"\0"))
    rdf = next((node for node in _nodes(document) if (node.namespaceURI, node.localName) == (RDF, "RDF")), None)
    if rdf is None:
        document = minidom.parseString(EMPTY)
        (rdf,) = document.getElementsByTagNameNS(RDF, "RDF")
    others: list[Node] = [node for node in rdf.childNodes if node.localName == "Description"]
    added = document.createElementNS(RDF, "rdf:Description")
    added.setAttribute("xmlns:rdf", RDF)
    added.setAttribute("xmlns:Iptc4xmpExt", EXTENSION)
    added.setAttributeNS(RDF, "rdf:about", others[0].getAttributeNS(RDF, "about") if others else "")
    for name, value in zip(MARKS, (SOURCES + source, system), strict=True):
        added.setAttributeNS(EXTENSION, f"Iptc4xmpExt:{name}", value)
    rdf.appendChild(added)
    return b"".join(child.toxml("utf-8") for child in document.childNodes)


def _is_stale(node: Node) -> bool:
    namespace, name, value = node.namespaceURI or "", node.localName, _text(node)
    if (namespace, name) == (TIFF, "Orientation"):
        return value.strip() != "1"  # browsers do not apply it, so neither do we
    if (namespace, name) in STALE or namespace.startswith(GOOGLE):
        return True
    return holds_picture(value)


def _is_place(node: Node) -> bool:
    namespace, name = node.namespaceURI or "", node.localName
    if namespace == EXIF and name.startswith("GPS"):
        return True
    return name in PLACES and (namespace == PHOTOSHOP or namespace.startswith(IPTC))


def _without(packet: object, wanted: Callable[[Node], bool]) -> bytes | None:
    """Remove the attributes and elements that are `wanted`; the same bytes if there are none."""
    from xml.dom import minidom

    if not isinstance(packet, bytes) or not packet or len(packet) > LONGEST or b"<!" in packet:
        return None  # a document type may hold entities that expand without end
    try:
        document = minidom.parseString(packet.rstrip(b"\0"))
        found = [node for node in _nodes(document) if wanted(node)]
        for node in found:
            if node.nodeType == node.ATTRIBUTE_NODE:
                node.ownerElement.removeAttributeNode(node)
            else:
                node.parentNode.removeChild(node)
        if not found:
            return packet
        return b"".join(child.toxml("utf-8") for child in document.childNodes)
    except Exception:  # not well-formed, or nested too deeply to be written
        return None


def _nodes(root: Node) -> Iterator[Node]:
    """Yield every element and attribute below `root`, without recursion."""
    waiting = list(root.childNodes)
    while waiting:
        node = waiting.pop()
        if node.nodeType == node.ELEMENT_NODE:
            yield node
            yield from list(node.attributes.values())
            waiting += node.childNodes


def _text(node: Node) -> str:
    """Return an attribute's value, or the text that stands directly in an element."""
    if node.nodeType == node.ATTRIBUTE_NODE:
        return node.value
    return "".join(child.data for child in node.childNodes if child.nodeType == child.TEXT_NODE)
