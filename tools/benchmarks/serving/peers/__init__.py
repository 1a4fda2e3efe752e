"""Compared servers, each written as its documentation shows, around the same decoding and the same
reader."""
