"""Scores a reader on folders of labelled photos: every verdict, and what the verdicts add up to."""

from readers.evaluation.calibration import Bin, calibration_error, reliability
from readers.evaluation.coverage import Covered, covered, surest
from readers.evaluation.depths import Confusion, Errors, confusions, errors, measured
from readers.evaluation.judging import judge
from readers.evaluation.labels import shots
from readers.evaluation.report import Report
from readers.evaluation.score import Score
from readers.evaluation.statistics import clustered, percentile, wilson
from readers.evaluation.verdict import Shot, Verdict

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
