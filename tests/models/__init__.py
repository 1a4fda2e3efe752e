"""Attacks by model folders: what somebody could put into one that is downloaded and served."""
