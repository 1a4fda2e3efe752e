"""Evaluate a reader on photos with known codes: one verdict per photo, and metrics."""

from keylike.readers.evaluation.calibration import Bin, calibration_error, reliability
from keylike.readers.evaluation.coverage import CoveragePoint, coverage_curve, point_at_coverage
from keylike.readers.evaluation.depths import Confusion, Errors, confusions, errors, measured
from keylike.readers.evaluation.judging import judge
from keylike.readers.evaluation.labels import shots
from keylike.readers.evaluation.report import Report
from keylike.readers.evaluation.score import Score
from keylike.readers.evaluation.statistics import clustered, percentile, wilson
from keylike.readers.evaluation.verdict import Shot, Verdict

__all__ = [
    "Bin",
    "Confusion",
    "CoveragePoint",
    "Errors",
    "Report",
    "Score",
    "Shot",
    "Verdict",
    "calibration_error",
    "clustered",
    "confusions",
    "coverage_curve",
    "errors",
    "judge",
    "measured",
    "percentile",
    "point_at_coverage",
    "reliability",
    "shots",
    "wilson",
]
