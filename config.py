"""Settings under the module name of the older guide."""

from __future__ import annotations

from keylike.settings import Settings, SettingsError, load_settings

__all__ = ["Settings", "SettingsError", "load_settings"]
