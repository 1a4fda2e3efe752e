"""Admit photos, queue them fairly, batch them, and drop photos whose client no longer waits."""
