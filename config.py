"""The settings, under a module name of the older guide.

The older guide is an earlier tutorial for a Keylike server. The Python files at the root keep its
function names, so that code written for it still runs.
"""

from __future__ import annotations

from keylike.settings import Settings, SettingsError, load_settings

__all__ = ["Settings", "SettingsError", "load_settings"]
