"""List the native libraries inside the installed wheels: `python -m tools.supply_chain.native_libraries`.

Wheels contain libraries that no lock file lists, such as libheif and libjpeg-turbo. There are four
sources for their names and versions, in this order: what a package reports at run time, the wheel's
bill of materials (PEP 770), build paths in a binary, and the names of the bundled files. The
version comes from the first source that knows it. Only the standard library and the inspected
packages are imported.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

UNKNOWN = "unknown"
# The names used here, for libraries that have other names in some sources.
_NAMES = {
    "FreeType": "freetype",
    "HarfBuzz": "harfbuzz",
    "Little CMS 2": "lcms2",
    "OpenJPEG": "openjpeg",
    "abseil-cpp": "abseil",
    "libgfortran": "gcc-runtime",
    "libjpeg / libjpeg-turbo": "libjpeg-turbo",
    "libquadmath": "gcc-runtime",
    "openblas-threads": "openblas",
    "openssl-libs": "openssl",
    "zlib": "zlib-ng",
}
# Libraries that Pillow's bill of materials lists although its wheels do not contain them. FriBiDi
# is loaded from the system if it is installed, and the wheels are built without libimagequant.
_NOT_BUNDLED = {"FriBiDi", "fribidi-shim", "libimagequant"}
# Version of FFmpeg by the version of its libavcodec.
_FFMPEG = {"62.28.101": "8.1.1"}
# Files by their name without "lib" and ".so": the library that the file belongs to, and a rule
# (pattern, replacement) that converts the version in the file name to the library's version. The
# rule is None if the version in the file name is an ABI version, which does not tell the release.
_SAME = (r".+", r"\g<0>")
_FILES: dict[str, tuple[str, tuple[str, str] | None]] = {
    "Xau": ("libXau", None),
    "aom": ("libaom", _SAME),
    "avcodec": ("libavcodec", _SAME),
    "avformat": ("libavformat", _SAME),
    "avif": ("libavif", None),
    "avutil": ("libavutil", _SAME),
    "brotlicommon": ("brotli", _SAME),
    "brotlidec": ("brotli", _SAME),
    "crypto": ("openssl", _SAME),
    "de265": ("libde265", None),
    "drm": ("libdrm", None),
    "freetype": ("freetype", None),
    "gfortran": ("gcc-runtime", None),
    "harfbuzz": ("harfbuzz", None),
    "heif": ("libheif", _SAME),
    "jpeg": ("libjpeg-turbo", None),
    "lcms2": ("lcms2", (r"2\.0\.(\d+)", r"2.\1")),
    "lzma": ("xz", _SAME),
    "onnxruntime": ("onnxruntime", _SAME),
    "openblasp-r0": ("openblas", None),
    "openjp2": ("openjpeg", _SAME),
    "png16": ("libpng", (r"16\.(\d+)\..*", r"1.6.\1")),
    "quadmath": ("gcc-runtime", None),
    "scipy_openblas64_": ("openblas", None),
    "sharpyuv": ("libwebp", None),
    "ssl": ("openssl", _SAME),
    "swresample": ("libswresample", _SAME),
    "swscale": ("libswscale", _SAME),
    "tiff": ("libtiff", None),
    "vpx": ("libvpx", None),
    "webp": ("libwebp", None),
    "webpdemux": ("libwebp", None),
    "webpmux": ("libwebp", None),
    "x265": ("x265", None),
    "xcb": ("libxcb", None),
    "zstd": ("zstd", _SAME),
}
_BUNDLED = re.compile(r"lib(?P<stem>[\w+-]+?)(-[0-9a-f]{8})*\.so(\.(?P<version>[0-9a-z.]+))?")
# Names of OpenBLAS files, such as libopenblasp-r0-59ffcd50.3.15.so and
# libscipy_openblas64_-32a4b2a6.so.
_OPENBLAS = re.compile(r"lib(?P<stem>openblasp-r0|scipy_openblas64_)-[0-9a-f]{8}[0-9.]*\.so")


@dataclass(frozen=True, slots=True, order=True)
class NativeLibrary:
    """A native library inside a wheel.

    Attributes:
        package: Name of the package whose wheel contains it.
        package_version: Version of that package.
        name: Name of the library.
        version: Its version, or UNKNOWN.
        evidence: Source of the name and version.
        licence: Licence that the wheel states, or empty.
    """

    package: str
    package_version: str
    name: str
    version: str
    evidence: str
    licence: str = ""


# Names and versions of libraries.
Found = Iterator[tuple[str, str]]


def native_libraries(packages: set[str] | None = None) -> list[NativeLibrary]:
    """Return the sorted libraries in the wheels of these packages, or in all installed wheels."""
    return sorted(
        {
            library
            for dist in distributions()
            if packages is None or _normalized(dist.name) in packages
            for library in _libraries(dist)
        }
    )


def _libraries(dist: Distribution) -> Iterator[NativeLibrary]:
    package = _normalized(dist.name)
    sources: list[tuple[str, Callable[[], Found]]] = [
        ("reported at run time", _PROBES.get(package, lambda: iter(()))),
        ("bill of materials in the wheel", lambda: _from_boms(dist)),
        ("build path in the binary", lambda: _from_build_paths(dist)),
        ("file name", lambda: _from_files(dist)),
    ]
    licences = _licences(dist)
    seen: dict[str, tuple[str, str]] = {}
    for evidence, source in sources:
        for name, version in source():
            if name != package and seen.get(name, (UNKNOWN, ""))[0] == UNKNOWN:
                seen[name] = (version, evidence)
    for name, (version, evidence) in seen.items():
        yield NativeLibrary(package, dist.version, name, version, evidence, licences.get(name, ""))


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _from_boms(dist: Distribution) -> Found:
    """Yield the components in the wheel's bills of materials (CycloneDX, dist-info/sboms)."""
    for file in dist.files or []:
        if file.parent.name != "sboms" or file.suffix != ".json":
            continue
        document = json.loads(Path(str(file.locate())).read_text(encoding="utf-8"))
        for component in document.get("components", []):
            version = str(component.get("version") or "")
            purl = str(component.get("purl") or "")
            name = str(component["name"])
            if purl.startswith("pkg:pypi/") or name in _NOT_BUNDLED or version in ("", "None"):
                continue
            kind = "crate " if purl.startswith("pkg:cargo/") else ""
            yield kind + _NAMES.get(name, name), version


def _from_build_paths(dist: Distribution) -> Found:
    """Yield the libraries that vcpkg built into ONNX Runtime, from source paths in its binary."""
    for file in dist.files or []:
        if re.match(r"libonnxruntime\.so\.", file.name):
            data = Path(str(file.locate())).read_bytes()
            pattern = rb"vcpkg/buildtrees/([a-z0-9-]+)/src/v?([0-9a-z.]+)-"
            for name, version in sorted(set(re.findall(pattern, data))):
                release = re.fullmatch(rb"[0-9]+(\.[0-9]+)+", version)
                yield name.decode(), version.decode() if release else UNKNOWN


def _from_files(dist: Distribution) -> Found:
    """Yield the shared libraries that auditwheel copied into the wheel."""
    for file in dist.files or []:
        match = _OPENBLAS.fullmatch(file.name) or _BUNDLED.fullmatch(file.name)
        if match is None or not (file.parent.name.endswith(".libs") or match["stem"] in _FILES):
            continue
        name, rule = _FILES.get(match["stem"], (f"lib{match['stem']}", None))
        version = match.groupdict().get("version") or ""
        if name == "libvpx":
            yield name, _vpx_version(Path(str(file.locate())))
        elif rule and re.fullmatch(rule[0], version) and version:
            yield name, re.sub(f"^{rule[0]}$", rule[1], version)
        else:
            yield name, UNKNOWN


def _vpx_version(file: Path) -> str:
    found = re.search(rb"WebM Project VP9 Decoder v([0-9.]+)", file.read_bytes())
    return found[1].decode() if found else UNKNOWN


def _licences(dist: Distribution) -> dict[str, str]:
    """Return the licences by library, from the wheel's LICENSES_bundled.txt."""
    found: dict[str, str] = {}
    for file in dist.files or []:
        if file.name == "LICENSES_bundled.txt":
            text = Path(str(file.locate())).read_text(encoding="utf-8")
            found |= dict(re.findall(r"^Name: (.+)\nLicense: (.+)$", text, flags=re.MULTILINE))
    return found


def _pillow() -> Found:
    features = importlib.import_module("PIL.features")
    names = {
        "freetype2": "freetype",
        "littlecms2": "lcms2",
        "webp": "libwebp",
        "avif": "libavif",
        "jpg_2000": "openjpeg",
        "libtiff": "libtiff",
        "raqm": "raqm",
        "harfbuzz": "harfbuzz",
        "libjpeg_turbo": "libjpeg-turbo",
        "zlib_ng": "zlib-ng",
    }
    for feature, name in names.items():
        version = features.version(feature) if features.check(feature) else None
        if version:
            yield name, version


def _pillow_heif() -> Found:
    info = importlib.import_module("pillow_heif").libheif_info()
    yield "libheif", info["libheif"]
    for text in (*info["decoders"].values(), *info["encoders"].values()):
        match = re.match(r"(libde265|x265)\b.*?([0-9]+(?:\.[0-9]+)+)", text)
        if match:
            yield match[1], match[2]


def _opencv() -> Found:
    text = importlib.import_module("cv2").getBuildInformation()
    patterns = {
        "libjpeg-turbo": r"JPEG: +build-libjpeg-turbo \(ver ([0-9.]+)",
        "libwebp": r"WEBP: +build \(ver (decoder)",
        "libavif": r"AVIF: +avif \(ver ([0-9.]+)",
        "libpng": r"PNG: +\S+ \(ver ([0-9.]+)",
        "libtiff": r"TIFF: +build \(ver 42 - ([0-9.]+)",
        "openjpeg": r"JPEG 2000: +build \(ver ([0-9.]+)",
        "libavcodec": r"avcodec: +YES \(([0-9.]+)",
        "libavformat": r"avformat: +YES \(([0-9.]+)",
        "libavutil": r"avutil: +YES \(([0-9.]+)",
        "libswscale": r"swscale: +YES \(([0-9.]+)",
        "protobuf": r"Protobuf: +build \(([0-9.]+)",
        "flatbuffers": r"Flatbuffers: +\S+ \(([0-9.]+)",
        "ittnotify": r"Intel ITT\(([0-9.]+)",
        "ippicv": r"Intel IPP: +([0-9.]+)",
    }
    for name, pattern in patterns.items():
        match = re.search(pattern, text)
        if match:
            # For libwebp, OpenCV reports only an ABI version.
            yield name, UNKNOWN if name == "libwebp" else match[1]
        if match and name == "libavcodec":
            yield "ffmpeg", _FFMPEG.get(match[1], UNKNOWN)


def _numpy() -> Found:
    config = importlib.import_module("numpy").__config__.show(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    if "openblas" in blas.get("name", ""):
        yield "openblas", blas["version"]


def _pyyaml() -> Found:
    yaml = importlib.import_module("yaml")
    if yaml.__with_libyaml__:
        yield "libyaml", importlib.import_module("yaml._yaml").get_version_string()


_PROBES: dict[str, Callable[[], Found]] = {
    "pillow": _pillow,
    "pillow-heif": _pillow_heif,
    "opencv-python-headless": _opencv,
    "numpy": _numpy,
    "pyyaml": _pyyaml,
}


if __name__ == "__main__":
    print(json.dumps([asdict(library) for library in native_libraries()], indent=1))
