"""The caliper as a reader: locate, measure and decode a key, then answer or refuse."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keylike.errors import ModelError
from keylike.images.photo import Photo
from keylike.keys.keyways import Keyway, keyway
from keylike.readers.caliper import confidence as sure
from keylike.readers.caliper.decode import Decoding, decode
from keylike.readers.caliper.drawing import draw_geometry
from keylike.readers.caliper.frames import Array
from keylike.readers.caliper.fuse import PoseEvidence, fuse
from keylike.readers.caliper.locate import PoseFit, alternative_poses, find, initial_poses
from keylike.readers.caliper.manifest import (
    Calibration,
    Thresholds,
    calibration_of,
    info_of,
    thresholds_of,
)
from keylike.readers.caliper.networks import CUTS_OF, NETWORKS, Measured, Networks
from keylike.readers.caliper.quality import Evidence, examine
from keylike.readers.caliper.refusal import LEAST_PX_PER_STEP, LEAST_SIDE_PX, photo_at_fault, refuse
from keylike.readers.caliper.second_key import second_key
from keylike.readers.contract import Cut, Quality, ReaderInfo, Reading, Reason, Unreadable
from keylike.readers.model_files import (
    MANIFEST,
    display_name,
    manifest_bytes,
    parse_manifest,
    read_files,
)

# The sixth place of a six-pin blank is 0.2 mm higher if it is uncut than with the shallowest cut.
# Blanks differ as much. This limit separates 16 of 27 drawn keys; the factor corrects the
# confidence of such readings (docs/LOG.md).
UNCUT_FROM_MM, _AMBIGUOUS_SIXTH = 8.58, 0.65
# A first result at least this sure, on a strip with at least this fit, needs no alternative poses.
_SURE, _SURE_FIT = 0.85, 2.0
# A reading mentions other keys from this many logits below the limit of several keys.
_MENTIONED = 2.0
# From this many logits below that limit, a second key is searched for.
SEVERAL_IN_DOUBT = 3.0
# A cut counts as worn from this distance to its depth, in depth steps.
_WORN_FROM = 0.38
_FINEST_STEP_MM = min(keyway(name).increment_mm for name in CUTS_OF)
# Only tilt explains such proportions: below this angle a doubt about the family is about the family
# itself.
_TILT_IN_DOUBT_DEG = 12.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that is known of one photo before the decision. Calibration and evaluation read it too.

    Attributes:
        fit: The pose whose measurements the decoding relies on most.
        kinds: Probability of each kind of key, over all poses.
        kind: The blank. It differs from `keyway` for a six-pin blank with five cuts.
        keyway: The lock that the cuts are for.
        depths_mm: Blade height at each cut, in millimetres.
        log_spread: Log of the spread of each depth, in tenths of a millimetre.
        decoding: The ranked codes.
        figures: What the calibration weighs, in the order of `confidence.FIGURES`.
    """

    fit: PoseFit
    kinds: dict[str, float]
    kind: str
    keyway: Keyway
    depths_mm: Array
    log_spread: Array
    decoding: Decoding
    figures: tuple[float, ...]

    @property
    def likeliest(self) -> str:
        """The most probable kind."""
        return max(self.kinds, key=lambda kind: self.kinds[kind])

    @property
    def five_or_six(self) -> bool:
        """True if the sixth place is uncut or shallowest: the two look nearly the same."""
        return self.kind == "SC4" and (
            self.keyway.name != self.kind or self.decoding.ranked[0][0][-1] == 0
        )

    @property
    def doubtful(self) -> bool:
        """True if alternative poses are worth their time."""
        if self.fit.measured.fit < _SURE_FIT:
            return True
        unreadable = max(chance for kind, chance in self.kinds.items() if kind not in CUTS_OF)
        return unreadable < _SURE and self.decoding.ranked[0][1] < _SURE


class CaliperReader:
    """The embedded reader."""

    def __init__(
        self, networks: Networks, info: ReaderInfo, calibration: Calibration, thresholds: Thresholds
    ) -> None:
        self._networks = networks
        self._info = info
        self._calibration = calibration
        self._thresholds = thresholds

    @classmethod
    def load(cls, folder: Path) -> CaliperReader:
        """Open a model folder after checking its files against the manifest's hashes.

        Raises:
            ModelError: A file is missing or differs, or the manifest's tables cannot be used.
        """
        data = manifest_bytes(folder)
        manifest = parse_manifest(folder, data)
        files = read_files(folder, manifest)
        unlisted = next((name for name in NETWORKS if f"{name}.onnx" not in files), None)
        if unlisted:
            raise ModelError(f"{display_name(folder / MANIFEST)}: [files] lists no {unlisted}.onnx")
        info = info_of(manifest, hashlib.sha256(data).hexdigest())
        calibration, thresholds = calibration_of(manifest), thresholds_of(manifest)
        try:
            return cls(Networks(files), info, calibration, thresholds)
        except Exception as error:  # onnxruntime raises its own kinds
            raise ModelError(
                f"the networks in {folder.name}/ ({', '.join(NETWORKS)}) cannot be opened"
            ) from error

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of the model."""
        return self._info

    def warm(self) -> None:
        """Run every network once."""
        self._networks.warm()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """Return one reading or refusal per photo, in order."""
        return [self._read(photo.pixels) for photo in photos]

    def _read(self, picture: Array) -> Reading | Unreadable:
        height, width = picture.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            return refuse(Reason.TOO_SMALL, f"The picture has only {width} x {height} pixels.")
        analysis = self.analyse(picture)
        if analysis is None:
            return refuse(Reason.NOT_A_KEY, "No key was found on the picture.")
        fit = analysis.fit
        evidence = examine(picture, fit.pose, fit.strip, fit.measured)
        quality = _quality(analysis, evidence, self._thresholds)
        refusal = no_code(analysis, evidence, quality, self._thresholds)
        # The search takes as long as a reading, so it is only made in doubt, and next to a key.
        in_doubt = 0 < self._thresholds.several - fit.rough.several <= SEVERAL_IN_DOUBT
        is_key = refusal is None or refusal.reason is not Reason.NOT_A_KEY
        if in_doubt and is_key and second_key(self._networks, picture, fit.pose):
            refusal = _several_keys(quality)
        return refusal or self._judge(analysis, evidence, quality, (width, height))

    def spot(self, picture: Array) -> Array | None:
        """Return a quick, rough pose of the key on an RGB photo (height, width, 3), or None.

        The pose (3, 3) maps millimetres of the key's plane to pixels and has no tilt.
        """
        if min(picture.shape[:2]) < LEAST_SIDE_PX:
            return None
        rough = find(self._networks, picture, self._thresholds.presence)
        return None if rough is None else rough.pose

    def analyse(self, picture: Array) -> Analysis | None:
        """Locate, measure and decode without refusing anything; None if no blade was found."""
        rough = find(self._networks, picture, self._thresholds.presence)
        if rough is None:
            return None
        initial = initial_poses(self._networks, picture, rough)
        return self.refine(initial, alternative_poses(self._networks, picture, rough, initial))

    def refine(
        self, initial: Sequence[PoseFit], alternatives: Iterable[Sequence[PoseFit]]
    ) -> Analysis | None:
        """Add groups of alternative poses to the initial ones as long as the result is doubtful."""
        fits, evidence = list(initial), self._evidence(initial)
        groups = iter(alternatives)
        while True:
            analysis = self._fuse(fits, evidence) if fits else None
            if analysis is not None and not analysis.doubtful:
                return analysis
            group = next(groups, None)
            if group is None:
                return analysis
            fits += group
            evidence += self._evidence(group)

    def _fuse(self, fits: Sequence[PoseFit], evidence: Sequence[PoseEvidence]) -> Analysis:
        fused = fuse(evidence)
        main, fit = evidence[fused.main], fits[fused.main]
        cuts = CUTS_OF[main.keyway.name]
        depths, spread = fit.measured.depths[cuts], fit.measured.log_spread[cuts]
        values = sure.figures(
            fused.decoding, fit.measured, spread, fused.kinds, main.kind, fit.pose
        )
        return Analysis(
            fit, fused.kinds, main.kind, main.keyway, depths, spread, fused.decoding, values
        )

    def _evidence(self, fits: Sequence[PoseFit]) -> list[PoseEvidence]:
        return [self._decode(fit.measured) for fit in fits]

    def _decode(self, measured: Measured) -> PoseEvidence:
        """Decode one measurement as the most probable keyway that can be read."""
        kinds = sure.kind_probabilities(measured.kinds, self._calibration.kind_temperature)
        kind = max(CUTS_OF, key=lambda one: kinds[one])
        five = kind == "SC4" and measured.depths[CUTS_OF[kind]][-1] > UNCUT_FROM_MM
        way = keyway("SC1" if five else kind)
        cuts = CUTS_OF[way.name]
        decoding = decode(
            way, measured.depths[cuts], measured.log_spread[cuts], self._calibration.noise
        )
        return PoseEvidence(kinds, kind, way, measured, decoding)

    def _judge(
        self, analysis: Analysis, evidence: Evidence, quality: Quality, size: tuple[int, int]
    ) -> Reading | Unreadable:
        """Answer with a code if it is sure enough."""
        chance = sure.confidence(analysis.figures, self._calibration.weights)
        if analysis.five_or_six:
            chance *= _AMBIGUOUS_SIXTH
        unlike_any_code = analysis.decoding.evidence < self._thresholds.evidence
        if chance < self._thresholds.confidence or unlike_any_code:
            return photo_at_fault(evidence, _px_per_step(analysis, evidence), quality)
        edges = analysis.fit.measured.edges
        return Reading(
            keyway=analysis.keyway.name,
            codes=analysis.decoding.ranked[0][0],
            confidence=chance,
            calibrated=True,
            cuts=_cuts(analysis, chance),
            candidates=sure.candidates(analysis.decoding, chance),
            quality=quality,
            drawing=draw_geometry(
                analysis.fit.pose, edges, analysis.keyway, analysis.depths_mm, size
            ),
        )


def no_code(
    analysis: Analysis,
    evidence: Evidence,
    quality: Quality,
    limits: Thresholds,
) -> Unreadable | None:
    """Refuse a photo that cannot give a code.

    The checks run from the picture to the key: no key, several keys, too few pixels, no cuts,
    another family, a family in doubt.

    Args:
        analysis: The analysis of the photo.
        evidence: The measured quality of the photo.
        quality: The quality that the refusal tells.
        limits: The limits of a refusal.
    """
    likeliest = analysis.likeliest
    if likeliest == "none" or analysis.fit.measured.fit < limits.fit:
        return refuse(Reason.NOT_A_KEY, "No key was found on the picture.")
    if analysis.fit.rough.several >= limits.several:
        return _several_keys(quality)
    # The finest step of all families counts: a family cannot be recognised from fewer pixels
    # either.
    finest = evidence.px_per_mm * _FINEST_STEP_MM
    if finest < LEAST_PX_PER_STEP:
        return photo_at_fault(evidence, finest, quality)
    if likeliest == "blank":
        return refuse(Reason.NO_CUTS, "The blade has no cuts.", quality)
    if likeliest == "other":
        return refuse(
            Reason.UNSUPPORTED_KEYWAY,
            "The key is of a family that cannot be read yet.",
            quality,
        )
    if analysis.kinds["other"] >= limits.other:
        return _family_in_doubt(analysis, evidence, quality)
    return None


def _several_keys(quality: Quality) -> Unreadable:
    return refuse(Reason.SEVERAL_KEYS, "There are several keys on the picture.", quality)


def _family_in_doubt(analysis: Analysis, evidence: Evidence, quality: Quality) -> Unreadable:
    """Refuse a key that may be of a readable family or of another.

    Height over spacing differs by 2 to 8 % between families, as much as a tilt of 11 to 23 degrees.
    """
    family = analysis.likeliest
    if evidence.tilt_deg > _TILT_IN_DOUBT_DEG:
        message = f"The blade has the proportions of {family} only if it is tilted by {evidence.tilt_deg:.0f} degrees."
        return refuse(Reason.TOO_TILTED, message, quality)
    return refuse(
        Reason.UNSUPPORTED_KEYWAY,
        f"The key looks like {family}, but may well be of another family.",
        quality,
    )


def _cuts(analysis: Analysis, whole: float) -> tuple[Cut, ...]:
    """Return the cuts of the first choice. None may be less probable than the whole code."""
    numbers = list(analysis.keyway.depths_mm)
    codes = analysis.decoding.ranked[0][0]
    cuts = []
    for i, code in enumerate(codes):
        chance = min(1.0, float(analysis.decoding.cuts[i, numbers.index(code)]))
        cuts.append(Cut(i + 1, code, max(whole, chance), float(analysis.depths_mm[i])))
    return tuple(cuts)


def _px_per_step(analysis: Analysis, evidence: Evidence) -> float:
    return evidence.px_per_mm * analysis.keyway.increment_mm


def _quality(analysis: Analysis, evidence: Evidence, limits: Thresholds) -> Quality:
    codes, way = analysis.decoding.ranked[0][0], analysis.keyway
    off = [
        abs(float(depth) - way.depths_mm[code]) / way.increment_mm
        for depth, code in zip(analysis.depths_mm, codes, strict=True)
    ]
    return Quality(
        px_per_mm=evidence.px_per_mm,
        px_per_depth_step=_px_per_step(analysis, evidence),
        tilt_deg=evidence.tilt_deg,
        sharpness=evidence.sharpness,
        contrast=evidence.contrast,
        worn_cuts=tuple(i + 1 for i, share in enumerate(off) if share > _WORN_FROM),
        other_keys=analysis.fit.rough.several >= limits.several - _MENTIONED,
    )
