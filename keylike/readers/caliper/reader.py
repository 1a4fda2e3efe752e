"""The caliper as a reader: locate, measure, decode, and say how sure it is or why it refuses."""

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
from keylike.readers.caliper.fuse import Heard, weigh
from keylike.readers.caliper.locate import Sighting, find, first_thought, second_thoughts
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
from keylike.readers.contract import Cut, Quality, ReaderInfo, Reading, Reason, Unreadable
from keylike.readers.model_files import MANIFEST, called, manifest_bytes, parse_manifest, read_files

# A six-pin blank that is left uncut at the sixth place is 0.2 mm higher there than one with the shallowest cut, as much as blanks differ.
# Of 27 drawn keys of either sort this limit tells 16 apart; this factor makes the confidence of such readings true (docs/LOG.md).
_UNCUT_FROM_MM, _TOLD_APART = 8.58, 0.65
_SURE, _SURE_FIT = (
    0.85,
    2.0,
)  # what is surer than this, on a strip that lies right, is not thought over
_WORN_FROM = 0.38  # share of a step a cut may lie off its depth before it is called worn


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything the caliper worked out about one sighting before it decides; what calibration and evaluation look at.

    `kind` is the blank it takes the key for, `keyway` the lock that its cuts are for: a six-pin blank may carry five.
    """

    sighting: Sighting
    kinds: dict[str, float]
    kind: str
    keyway: Keyway
    depths_mm: Array
    log_spread: Array
    decoding: Decoding
    figures: tuple[float, ...]

    @property
    def five_or_six(self) -> bool:
        """Whether the sixth place of a six-pin blank is uncut or has the shallowest cut, which can hardly be told."""
        return self.kind == "SC4" and (
            self.keyway.name != self.kind or self.decoding.ranked[0][0][-1] == 0
        )

    @property
    def doubtful(self) -> bool:
        """Whether other ways the blade might lie are worth their time."""
        if self.sighting.measured.fit < _SURE_FIT:
            return True
        none_of_ours = max(chance for kind, chance in self.kinds.items() if kind not in CUTS_OF)
        return none_of_ours < _SURE and self.decoding.ranked[0][1] < _SURE


class CaliperReader:
    """The embedded reader. Raises ModelError from `load` when the folder's files or tables are not usable."""

    def __init__(
        self, networks: Networks, info: ReaderInfo, calibration: Calibration, thresholds: Thresholds
    ) -> None:
        self._networks, self._info = networks, info
        self._calibration, self._thresholds = calibration, thresholds

    @classmethod
    def load(cls, folder: Path) -> CaliperReader:
        """Opens a folder, its files as the manifest's hashes say and none besides. Raises ModelError."""
        data = manifest_bytes(folder)
        manifest = parse_manifest(folder, data)
        files = read_files(folder, manifest)
        unlisted = next((name for name in NETWORKS if f"{name}.onnx" not in files), None)
        if unlisted:
            raise ModelError(f"{called(folder / MANIFEST)}: [files] lists no {unlisted}.onnx")
        info = info_of(manifest, hashlib.sha256(data).hexdigest())
        calibration, thresholds = calibration_of(manifest), thresholds_of(manifest)
        try:
            return cls(Networks(files), info, calibration, thresholds)
        except Exception as wrong:  # onnxruntime raises its own kinds
            raise ModelError(
                f"the networks in {folder.name}/ ({', '.join(NETWORKS)}) cannot be opened"
            ) from wrong

    @property
    def info(self) -> ReaderInfo:
        """Name, version and digest of what reads."""
        return self._info

    def warm(self) -> None:
        """Runs every network once."""
        self._networks.warm()

    def read(self, photos: Sequence[Photo]) -> list[Reading | Unreadable]:
        """One reading or refusal a photo, in order."""
        return [self._read(photo.pixels) for photo in photos]

    def _read(self, picture: Array) -> Reading | Unreadable:
        height, width = picture.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            return refuse(Reason.TOO_SMALL, f"The picture has only {width} x {height} pixels.")
        trial = self.sight(picture)
        if trial is None:
            return refuse(Reason.NOT_A_KEY, "No key was found on the picture.")
        sighting = trial.sighting
        evidence = examine(picture, sighting.pose, sighting.strip, sighting.measured)
        quality = _quality(trial, evidence)
        return self._no_code(trial, evidence, quality) or self._judge(
            trial, evidence, quality, (width, height)
        )

    def spot(self, picture: Array) -> Array | None:
        """Where the key lies on an RGB photo (height, width, 3), found quickly and roughly: from mm of its plane to pixels (3, 3),
        without tilt; None where no key is seen."""
        rough = (
            find(self._networks, picture, self._thresholds.presence)
            if min(picture.shape[:2]) >= LEAST_SIDE_PX
            else None
        )
        return None if rough is None else rough.pose

    def sight(self, picture: Array) -> Trial | None:
        """Locates and decodes without refusing a code; None where no blade was found at all."""
        rough = find(self._networks, picture, self._thresholds.presence)
        if rough is None:
            return None
        first = first_thought(self._networks, picture, rough)
        return self.ponder(first, second_thoughts(self._networks, picture, rough, first))

    def ponder(
        self, first: Sequence[Sighting], others: Iterable[Sequence[Sighting]]
    ) -> Trial | None:
        """What the first sighting says, and the others with it, go by go, for as long as doubts are left; None where there is none."""
        sightings, heard = list(first), self._hear(first)
        more = iter(others)
        while True:
            trial = self._weigh(sightings, heard) if sightings else None
            if trial is not None and not trial.doubtful:
                return trial
            further = next(more, None)
            if further is None:
                return trial
            sightings += further
            heard += self._hear(further)

    def _weigh(self, sightings: Sequence[Sighting], heard: Sequence[Heard]) -> Trial:
        """What one or more sightings say together."""
        weighed = weigh(heard)
        main, sighting = heard[weighed.main], sightings[weighed.main]
        cuts = CUTS_OF[main.keyway.name]
        depths, spread = sighting.measured.depths[cuts], sighting.measured.log_spread[cuts]
        values = sure.figures(weighed.decoding, sighting.measured, spread, weighed.kinds[main.kind])
        return Trial(
            sighting,
            weighed.kinds,
            main.kind,
            main.keyway,
            depths,
            spread,
            weighed.decoding,
            values,
        )

    def _hear(self, sightings: Sequence[Sighting]) -> list[Heard]:
        return [self._decode(sighting.measured) for sighting in sightings]

    def _decode(self, measured: Measured) -> Heard:
        """Its codes as the likeliest keyway that can be read."""
        kinds = sure.kind_probabilities(measured.kinds, self._calibration.kind_temperature)
        kind = max(CUTS_OF, key=lambda one: kinds[one])
        five = kind == "SC4" and measured.depths[CUTS_OF[kind]][-1] > _UNCUT_FROM_MM
        way = keyway("SC1" if five else kind)
        cuts = CUTS_OF[way.name]
        decoding = decode(
            way, measured.depths[cuts], measured.log_spread[cuts], self._calibration.noise
        )
        return Heard(kinds, kind, way, measured, decoding)

    def _no_code(self, trial: Trial, evidence: Evidence, quality: Quality) -> Unreadable | None:
        """A refusal where there is no code of ours to read: no key, an uncut blade, another family."""
        likeliest = max(trial.kinds, key=lambda kind: trial.kinds[kind])
        if likeliest == "none" or trial.sighting.measured.fit < self._thresholds.fit:
            return refuse(Reason.NOT_A_KEY, "No key was found on the picture.")
        if trial.kinds["other"] >= self._thresholds.other:
            likeliest = "other"
        if likeliest not in CUTS_OF and _px_per_step(trial, evidence) < LEAST_PX_PER_STEP:
            return photo_at_fault(
                evidence, _px_per_step(trial, evidence), quality
            )  # too few pixels to tell families apart
        if likeliest == "blank":
            return refuse(Reason.NO_CUTS, "The blade has no cuts.", quality)
        if likeliest == "other":
            return refuse(
                Reason.UNSUPPORTED_KEYWAY,
                "The key is of a family that cannot be read yet.",
                quality,
            )
        return None

    def _judge(
        self, trial: Trial, evidence: Evidence, quality: Quality, size: tuple[int, int]
    ) -> Reading | Unreadable:
        chance = sure.confidence(trial.figures, self._calibration.weights) * (
            _TOLD_APART if trial.five_or_six else 1.0
        )
        if (
            chance < self._thresholds.confidence
            or trial.decoding.evidence < self._thresholds.evidence
        ):
            return photo_at_fault(evidence, _px_per_step(trial, evidence), quality)
        return Reading(
            keyway=trial.keyway.name,
            codes=trial.decoding.ranked[0][0],
            confidence=chance,
            calibrated=True,
            cuts=_cuts(trial, chance),
            candidates=sure.candidates(trial.decoding, chance),
            quality=quality,
            drawing=draw_geometry(
                trial.sighting.pose,
                trial.sighting.measured.edges,
                trial.keyway,
                trial.depths_mm,
                size,
            ),
        )


def _cuts(trial: Trial, whole: float) -> tuple[Cut, ...]:
    """The cuts of the first choice; none can be less likely right than the whole code."""
    numbers = list(trial.keyway.depths_mm)
    codes = trial.decoding.ranked[0][0]
    return tuple(
        Cut(
            i + 1,
            code,
            max(whole, min(1.0, float(trial.decoding.cuts[i, numbers.index(code)]))),
            float(trial.depths_mm[i]),
        )
        for i, code in enumerate(codes)
    )


def _px_per_step(trial: Trial, evidence: Evidence) -> float:
    return evidence.px_per_mm * trial.keyway.increment_mm


def _quality(trial: Trial, evidence: Evidence) -> Quality:
    codes, way = trial.decoding.ranked[0][0], trial.keyway
    off = [
        abs(float(depth) - way.depths_mm[code]) / way.increment_mm
        for depth, code in zip(trial.depths_mm, codes, strict=True)
    ]
    return Quality(
        px_per_mm=evidence.px_per_mm,
        px_per_depth_step=_px_per_step(trial, evidence),
        tilt_deg=evidence.tilt_deg,
        sharpness=evidence.sharpness,
        contrast=evidence.contrast,
        worn_cuts=tuple(i + 1 for i, share in enumerate(off) if share > _WORN_FROM),
    )
