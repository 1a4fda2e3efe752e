"""Scores a reader on folders of labelled photos: every verdict, and what the verdicts add up to."""

from keylike.readers.evaluation.calibration import Bin, calibration_error, reliability
from keylike.readers.evaluation.coverage import Covered, covered, surest
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
    "Covered",
    "Errors",
    "Report",
    "Score",
    "Shot",
    "Verdict",
    "calibration_error",
    "clustered",
    "confusions",
    "covered",
    "errors",
    "judge",
    "measured",
    "percentile",
    "reliability",
    "shots",
    "surest",
    "wilson",
]
