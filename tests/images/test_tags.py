"""Resolution, copyright and artist are found wherever programs put them, and odd metadata cost nothing."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from glasseg.images import tags
from glasseg.images.tags import Tags

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")  # its remarks on the odd metadata here

WITH_EXIF = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]
ORIENTATION, X, Y, UNIT, COPYRIGHT, ARTIST = 274, 282, 283, 296, 33432, 315

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Müller</rdf:li>
<rdf:li xml:lang="fr">autre</rdf:li></rdf:Alt></dc:rights>
<dc:creator><rdf:Seq><rdf:li>Ana</rdf:li><rdf:li>Bob</rdf:li></rdf:Seq></dc:creator>
<dc:subject><rdf:Bag><rdf:li>not this</rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def declaring(declarations: str, entity: str) -> bytes:
    """XMP with a document type, whose copyright is an entity that it declares."""
    return f"<!DOCTYPE x {declarations}>".encode() + XMP[XMP.index(b"<x:") :].replace(
        "© Müller".encode(), entity.encode()
    )


SMALL_BOMB = declaring('[<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]', "&b;")
BILLION_LAUGHS = declaring(
    '[<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{10 * f"&a{n - 1};"}">' for n in range(1, 10)) + "]", "&a9;"
)


def picture(format: str, **options: object) -> Image.Image:
    """An opened picture of 30 rows and 40 columns, as a reader meets it."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, format, **options)
    return Image.open(io.BytesIO(buffer.getvalue()))


def exif(**values: object) -> Image.Exif:
    block = Image.Exif()
    for name, value in values.items():
        block[globals()[name]] = value
    return block


def iptc(*datasets: tuple[int, bytes]) -> bytes:
    """The APP13 body of Photoshop with an IPTC-IIM block of record 2."""
    block = b"".join(struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text for number, text in datasets)
    padded = block + b"\0" * (len(block) % 2)
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + padded


def with_segment(marker: int, body: bytes) -> Image.Image:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "JPEG")
    data = buffer.getvalue()
    segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    return Image.open(io.BytesIO(data[:20] + segment + data[20:]))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP"])
def test_the_resolution_of_a_header_is_found(format: str) -> None:
    found = tags.read(picture(format, dpi=(300, 150))).dpi
    assert found == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("format", WITH_EXIF)
def test_everything_is_found_in_exif(format: str, loaded: bool) -> None:
    block = exif(X=300.0, Y=150.0, UNIT=2, COPYRIGHT="(c) Acme", ARTIST="Ana")
    photo = picture(format, exif=block)
    if loaded:
        photo.load()
    assert tags.read(photo) == Tags((300, 150), "(c) Acme", "Ana")


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", WITH_EXIF)
def test_a_turned_picture_has_its_resolution_turned(format: str, orientation: int, loaded: bool) -> None:
    photo = picture(format, exif=exif(X=300.0, Y=150.0, UNIT=2, ORIENTATION=orientation))
    if loaded:
        photo.load()
    assert tags.read(photo).dpi == ((300, 150) if orientation < 5 else (150, 300))


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_a_heic_that_its_reader_turned_has_its_resolution_turned(orientation: int | None) -> None:
    photo = picture("WEBP", exif=exif(X=300.0, Y=150.0, UNIT=2, ORIENTATION=1))
    photo.info["original_orientation"] = orientation  # as pillow-heif leaves it
    assert tags.read(photo).dpi == ((150, 300) if orientation in (6, 8) else (300, 150))


@pytest.mark.parametrize("format", WITH_EXIF)
def test_centimetres_become_inches(format: str) -> None:
    assert tags.read(picture(format, exif=exif(X=100.0, Y=50.0, UNIT=3))).dpi == (254, 127)


def test_centimetres_of_jfif_become_inches() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG", dpi=(100, 50))
    data = bytearray(buffer.getvalue())
    data[13] = 2
    assert tags.read(Image.open(io.BytesIO(bytes(data)))).dpi == (254, 127)


@pytest.mark.parametrize("format", WITH_EXIF)
def test_a_resolution_without_a_unit_is_none(format: str) -> None:
    assert tags.read(picture(format, exif=exif(X=100.0, Y=50.0, UNIT=1))).dpi is None


@pytest.mark.parametrize("format", [*WITH_EXIF, "BMP"])
def test_pictures_that_say_nothing_have_no_tags(format: str) -> None:
    # Pillow's BMPs say 96 dpi unasked
    assert tags.read(picture(format, **({"dpi": (0, 0)} if format == "BMP" else {}))) == Tags()


@pytest.mark.parametrize("value", [0.0, 0.5, 30_001.0, 1e9, IFDRational(0, 0)])
@pytest.mark.parametrize("format", WITH_EXIF)
def test_absurd_resolutions_are_none(format: str, value: float | IFDRational) -> None:
    assert tags.read(picture(format, exif=exif(X=value, Y=value, UNIT=2, ARTIST="Ana"))) == Tags(artist="Ana")


def test_broken_exif_does_not_become_72_dpi_and_keeps_that_of_jfif() -> None:
    assert tags.read(picture("JPEG", exif=b"Exif\0\0no tiff at all")) == Tags()
    assert tags.read(picture("JPEG", exif=b"Exif\0\0no tiff at all", dpi=(300, 300))) == Tags(dpi=(300, 300))


@pytest.mark.parametrize("loaded", [False, True])
def test_png_texts_are_found(loaded: bool) -> None:
    texts = PngInfo()
    texts.add_text("Copyright", "© Müller")
    texts.add_itxt("Author", "眼鏡")
    photo = picture("PNG", pnginfo=texts)
    if loaded:
        photo.load()
    assert tags.read(photo) == Tags(copyright="© Müller", artist="眼鏡")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_iptc_is_found(encoding: str) -> None:
    body = iptc((116, "© Müller".encode(encoding)), (80, b"Ana"), (80, b"Bob"))
    assert tags.read(with_segment(0xED, body)) == Tags(copyright="© Müller", artist="Ana; Bob")


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_xmp_is_found(format: str) -> None:
    options = {"tiffinfo": {700: XMP}} if format == "TIFF" else {"xmp": XMP}
    assert tags.read(picture(format, **options)) == Tags(copyright="© Müller", artist="Ana; Bob")


LONG = XMP.replace(b"<rdf:RDF", b" " * (1 << 22) + b"<rdf:RDF")


@pytest.mark.parametrize(
    "packet",
    [
        SMALL_BOMB,
        SMALL_BOMB.decode().encode("utf-16"),
        BILLION_LAUGHS,
        declaring('SYSTEM "http://localhost:1/x.dtd"', "&a;"),
        XMP[:-300],
        b"<a>" * 100_000,
        b"<a>" * 100_000 + b"</a>" * 100_000,
        b"\xff\xfe",
        LONG,
    ],
)
def test_xmp_that_is_a_bomb_or_broken_says_nothing(packet: bytes) -> None:
    photo = picture("WEBP", exif=exif(ARTIST="Ana"))
    photo.info["xmp"] = packet
    assert tags.read(photo) == Tags(artist="Ana")


@pytest.mark.parametrize("declaration", ['<!ENTITY a SYSTEM "{}">', '<!ENTITY % p SYSTEM "{}"> %p;'])
def test_xmp_reads_no_file_of_this_machine(declaration: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret" if "%" not in declaration else "<!ENTITY a 'secret'>")
    photo = picture("WEBP", exif=exif(ARTIST="Ana"))
    photo.info["xmp"] = declaring(f"[{declaration.format(secret.as_uri())}]", "&a;")
    assert tags.read(photo) == Tags(artist="Ana")


def test_exif_counts_before_the_others_and_they_fill_its_gaps() -> None:
    texts = PngInfo()
    texts.add_text("Copyright", "of the text")
    texts.add_text("Author", "of the text")
    photo = picture("PNG", pnginfo=texts, exif=exif(ARTIST="of EXIF", COPYRIGHT="  \0 "))
    photo.load()
    assert tags.read(photo) == Tags(copyright="of the text", artist="of EXIF")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("© Müller".encode(), "© Müller"),
        ("© Müller".encode("latin-1"), "© Müller"),
        (b"photographer\0editor", "photographer editor"),
        (b" two\r\nlines\t\x1b[31m ", "two lines [31m"),
        ("left\u202eright".encode(), "left right"),
        (b"\0\0\0", None),
        (b" ", None),
        ("é".encode() * 5000, "é" * 2000),
        (b"x" + "é".encode() * 9000, "x" + "é" * 1999),  # the bound falls inside a character
        (b"caf\xe9", "café"),
    ],
)
def test_texts_become_one_printable_line(raw: bytes, text: str | None) -> None:
    assert tags.read(picture("JPEG", exif=exif(COPYRIGHT=raw))).copyright == text


@given(
    st.none() | st.tuples(st.floats(1, 30_000), st.floats(1, 30_000)),
    st.none() | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=2000),
)
def test_what_exif_is_given_comes_back(dpi: tuple[float, float] | None, text: str | None) -> None:
    given_tags = Tags(dpi, text, text)
    block = tags.exif(given_tags)
    if given_tags == Tags():
        assert block is None
        return
    assert block is not None and block.startswith(b"Exif\0\0") and len(block) < 65_533  # fits a JPEG segment
    found = tags.read(picture("WEBP", exif=block))
    assert found.copyright == found.artist == text
    assert found.dpi == (pytest.approx(dpi, abs=0.01) if dpi else None)


def full(format: str) -> bytes:
    block = exif(X=300.0, Y=150.0, UNIT=2, COPYRIGHT="(c) Acme", ARTIST="Ana", ORIENTATION=6)
    buffer = io.BytesIO()
    options = {} if format == "PNG" else {"xmp": XMP}
    Image.new("RGB", (4, 3), "teal").save(buffer, format, exif=block, dpi=(300, 200), **options)
    return buffer.getvalue()


SAMPLES = [full(format) for format in WITH_EXIF]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    st.booleans(),
)
def test_corrupt_metadata_are_never_an_error(data: bytes, changes: list[tuple[float, int]], load: bool) -> None:
    broken = bytearray(data)
    for place, value in changes:
        broken[int(place * len(broken))] = value
    try:
        photo = Image.open(io.BytesIO(bytes(broken)))
        if load:
            photo.load()
    except Exception:  # noqa: BLE001  # whatever it is, the picture was refused before its tags are asked for
        return
    found = tags.read(photo)
    for text in (found.copyright, found.artist):
        assert text is None or (text.isprintable() and 0 < len(text) <= 2000)
    assert found.dpi is None or all(1 <= value <= 30_000 for value in found.dpi)


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_as_metadata_are_never_an_error(a: bytes, b: bytes, c: bytes) -> None:
    photo = picture("JPEG")
    photo.info |= {"exif": b"Exif\0\0II*\0\x08\0\0\0" + a, "xmp": b"<a>" + b, "photoshop": {0x0404: b"\x1c\x02" + c}}
    tags.read(photo)


@pytest.mark.parametrize(
    "odd", [{"dpi": None}, {"dpi": ("a", "b")}, {"dpi": 3}, {"exif": 5}, {"xmp": 7}, {"Author": 9}]
)
def test_odd_values_of_other_readers_are_never_an_error(odd: dict[str, object]) -> None:
    photo = Image.new("RGB", (4, 4))
    photo.info |= odd
    assert tags.read(photo) == Tags()


def test_reading_tags_neither_loads_nor_changes_the_picture() -> None:
    for format in WITH_EXIF:
        photo = picture(format, exif=exif(ORIENTATION=6, ARTIST="Ana"))
        before = dict(photo.info)
        tags.read(photo)
        assert photo.info == before
        photo.load()
        assert format == "TIFF" or photo.getexif()[ORIENTATION] == 6  # Pillow turned the TIFF
