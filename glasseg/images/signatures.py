"""What a file is that can't be decoded, and what is wrong with it, in words for people."""

from __future__ import annotations

import codecs
from typing import Final

from glasseg.images import directories

_EXPORT: Final = "export it as JPEG, PNG or TIFF"
_RAW: Final = "a camera's raw photo"

_PICTURES: Final = (  # (place, bytes, what begins so): pictures of formats that are not read
    (0, b"8BPS", "a Photoshop document (PSD)"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL \r\n", "a JPEG XL picture"),
    (4, b"jP  \r\n", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"II\xbc\x01", "a JPEG XR picture"),
    (0, b"\xff\xd8\xff\xf7", "a JPEG-LS picture"),
    (8, b"CR\x02\0", f"{_RAW} (CR2)"),
    (4, b"ftypcrx ", f"{_RAW} (CR3)"),
    (0, b"FUJIFILMCCD-RAW", f"{_RAW} (RAF)"),
    (0, b"IIRO", f"{_RAW} (ORF)"),
    (0, b"IIRS", f"{_RAW} (ORF)"),
    (0, b"MMOR", f"{_RAW} (ORF)"),
    (0, b"IIU\0", f"{_RAW} (RW2)"),
    (0, b"FOVb", f"{_RAW} (X3F)"),
    (0, b"\0MRM", f"{_RAW} (MRW)"),
    (0, b"%PDF", "a PDF, or an Illustrator document"),
    (0, b"%!PS", "a PostScript drawing (EPS)"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript drawing (EPS)"),
    (8, b"CDR", "a CorelDRAW drawing"),
    (0, b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5", "an InDesign document"),
    (0, b"\0\xffKA", "an Affinity document"),
    (0, b"gimp xcf", "a GIMP picture (XCF)"),
    (0, b"\0\0\1\0", "an icon (ICO)"),
    (0, b"icns", "an icon (ICNS)"),
    (0, b"qoif", "a QOI picture"),
    (0, b"DDS ", "a texture (DDS)"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance picture (HDR)"),
    (0, b"\x0a\x05\x01\x08", "a PCX picture"),
    (0, b"\x01\xda\0", "an SGI picture"),
    (0, b"\x01\xda\1", "an SGI picture"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (40, b" EMF", "a Windows metafile (EMF)"),
    (0, b"AT&TFORM", "a DjVu document"),
    (0, b"BPG\xfb", "a BPG picture"),
    (0, b"SIMPLE  =", "a FITS picture"),
    (128, b"DICM", "a DICOM picture"),
    (12, b"CgBI", "a PNG in Apple's own form (CgBI)"),
    *((0, b"P%d" % kind + space, "a Netpbm picture (PPM)") for kind in range(1, 8) for space in (b"\n", b" ", b"\r")),
)

_OTHERS: Final = (  # (place, bytes, what begins so)
    (0, b"\x1f\x8b", "gzip data: a file that was compressed once more"),
    (0, b"PK\x03\x04", "a ZIP archive, or an Office document"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"BZh", "bzip2 data"),
    (0, b"\xfd7zXZ\0", "xz data"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (257, b"ustar", "a tar archive"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document, or Thumbs.db of Windows"),
    (0, b"\0\5\x16\7", "notes of macOS on another file (AppleDouble)"),
    (0, b"\0\5\x16\0", "notes of macOS on another file (AppleSingle)"),
    (0, b"bplist", "a property list of macOS"),
    (0, b"L\0\0\0\1\x14\2\0", "a shortcut of Windows"),
    (0, b"MZ", "a program of Windows"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format", "a database"),
    (0, b"\x1aE\xdf\xa3", "a video (WebM or Matroska)"),
    (8, b"AVI ", "a video (AVI)"),
    (0, b"\0\0\1\xba", "a video (MPEG)"),
    (0, b"\0\0\1\xb3", "a video (MPEG)"),
    (0, b"\x30\x26\xb2\x75", "a video (WMV)"),
    (0, b"FLV\1", "a video (FLV)"),
    (4, b"moov", "a video (MOV)"),
    (4, b"mdat", "a video (MOV)"),
    (4, b"wide", "a video (MOV)"),
    (4, b"ftyp", "a video (MP4 or MOV)"),  # after the brands of pictures
    (8, b"WAVE", "a sound (WAV)"),
    (0, b"ID3", "a sound (MP3)"),
    (0, b"OggS", "a sound or video (Ogg)"),
)

_HTML: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--")
_TEXTS: Final = (  # how texts begin, in lower case
    (b"<?xml", "an XML text, such as an error message under a picture's name"),
    (b"<", "a text with markup, such as an error message under a picture's name"),
    (b"{", "a JSON text, such as an error message under a picture's name"),
    (b"data:image/", "a text: a picture as a data URI, which a browser would decode"),
    (b"/9j/", "a text: a JPEG in base64"),
    (b"ivborw0kggo", "a text: a PNG in base64"),
    (b"version https://git-lfs", "a text: a pointer of Git LFS in place of the file"),
    (b"[internetshortcut]", "a text: a link of Windows to a page"),
)

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_PNG_AS_TEXT: Final = (b"\x89PNG\n\x1a", b"\x89PNG\r\x1a", b"\x89PNG\r\r\n", b"\x89PNG\r\n\x1a\r\n", b"\tPNG\r\n")
_AS_UTF_8: Final = (  # how a picture begins whose bytes were taken for Latin-1 or Windows-1252
    (0, b"\xc3\xbf\xc3\x98\xc3\xbf", "JPEG"),
    (0, b"\xc2\x89PNG", "PNG"),
    (0, b"\xe2\x80\xb0PNG", "PNG"),
)
_READ: Final = (  # (place, bytes, the name of a format that is read); BMP and TIFF are not as simple
    (0, _JPEG, "JPEG"),
    (0, _PNG, "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    *(
        (4, b"ftyp" + brand, "HEIC")
        for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
    ),
    *((4, b"ftyp" + brand, "AVIF") for brand in (b"avif", b"avis")),
)
_HEAD: Final = 4096  # bytes in which the kind of a file shows

# What the libraries say, and what it means.
_CUT_OFF: Final = (
    "runcated",
    "remature end of JPEG file",
    "nexpected end of file",
    "outside of file bounds",
)
_KNOWN: Final = (
    ("bit layers", "has more than 8 bits a colour: save it with 8"),
    ("Unsupported BMP", "is of a rare kind: save it as PNG"),
    ("MAX_TEXT", "holds texts that are larger than any picture needs: save it without metadata"),
    ("Decompressed data too large", "holds texts that are larger than any picture needs: save it without metadata"),
    ("Unsupported codec", "is coded in a way that can't be read: save it as JPEG"),
)


def complaint(data: bytes, error: Exception) -> str:
    """Why a file could not be decoded, in words for people; `error` is what the library raised."""
    name = _format(data)
    if name is None or _name(data, _PICTURES):
        return _what_it_is(data)
    text = str(error)
    if isinstance(error, EOFError) or any(sign in text for sign in _CUT_OFF) or _ends_early(data, name):
        return f"the {name} is cut off: its end is missing"
    return next((f"the {name} {words}" for sign, words in _KNOWN if sign in text), f"the {name} is damaged")


def _format(data: bytes) -> str | None:
    """The name of the format that is read, by the first bytes; None for others."""
    if data[:2] == b"BM" and data[6:10] == bytes(4):  # "BM" alone may be the start of a text
        return "BMP"
    if directories.is_tiff(data):
        return "TIFF"
    return _name(data, _READ)


def _ends_early(data: bytes, name: str) -> bool:
    """Whether a file says itself that it is longer; so do WebP (RFC 9649), HEIC and AVIF (ISO/IEC 14496-12)."""
    if name == "WebP":
        return 8 + int.from_bytes(data[4:8], "little") > len(data)
    place = 0
    while name in {"HEIC", "AVIF"} and place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if length < 8:  # the rest of the file, or a length of 64 bits
            return False
        place += length
    return place > len(data)


def _name(data: bytes, table: tuple[tuple[int, bytes, str], ...]) -> str | None:
    return next((name for place, beginning, name in table if data.startswith(beginning, place)), None)


def _what_it_is(data: bytes) -> str:
    """What a file is that is none of the formats that are read."""
    if name := _name(data, _PICTURES):
        return f"{name}: {_EXPORT}"
    if name := _name(data, _OTHERS):
        return f"not a picture, but {name}"
    found = _text(data[:_HEAD]) or _spoilt(data)
    return found or f"not a picture that can be decoded; it begins with {data[:16]!r}"


def _spoilt(data: bytes) -> str | None:
    """What happened to a file that was a picture once, as far as that shows."""
    if data.startswith(b"\xef\xbf\xbd"):
        return "not a picture any more: it was stored as text in UTF-8, which destroyed it"
    if name := _name(data, _AS_UTF_8):
        return f"a {name} that was stored as text in UTF-8: transfer it as it is"
    if data.startswith(_PNG_AS_TEXT):
        return "a PNG whose line ends were changed, as by a transfer in text mode: transfer it as it is"
    for beginning, name in ((_JPEG, "JPEG"), (_PNG, "PNG")):
        if (place := data.find(beginning, 1, _HEAD)) > 0:
            return f"a {name} that begins after {place} other bytes: cut them off"
    if not data[:_HEAD].strip(b"\0"):
        return "not a picture: it begins with nothing but zeros, as a file does that was never written out"
    return f"a Targa picture (TGA): {_EXPORT}" if b"TRUEVISION-XFILE" in data[-26:] else None


def _text(start: bytes) -> str | None:
    """What kind of text begins so; None if it is none."""
    plain = start.removeprefix(b"\xef\xbb\xbf").strip().lower()
    if b"<svg" in plain and not plain.startswith(_HTML):
        return f"an SVG drawing: {_EXPORT}"
    if plain.startswith(_HTML):
        return "not a picture, but an HTML page, such as an error page under a picture's name"
    if kind := next((name for beginning, name in _TEXTS if plain.startswith(beginning)), None):
        return f"not a picture, but {kind}"
    if _is_utf_16(start):
        return "not a picture, but a text in UTF-16, which PowerShell makes of what a program prints"
    try:
        text = codecs.utf_8_decode(start, "strict", False)[0]  # whose last character may be cut
    except UnicodeDecodeError:
        return None
    words = " ".join(text.split())
    return f"not a picture, but a text that begins with {words[:20]!r}" if words.isprintable() and words else None


def _is_utf_16(start: bytes) -> bool:
    """Whether this is text in UTF-16 of the characters that Western code pages have."""
    if not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    try:
        text = codecs.utf_16_decode(start, "strict", False)[0]
    except UnicodeDecodeError:
        return False
    return bool(text) and max(text) < "\u2600"
