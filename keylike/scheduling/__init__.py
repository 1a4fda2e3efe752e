"""Admit photos, queue them fairly, batch them, and drop those that nobody waits for."""
