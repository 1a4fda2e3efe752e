"""Location of the files that come with the package: models, samples, the web page and the locks.

In a checkout they are next to the package. A wheel has no checkout around it, so the build copies
what the server needs into `keylike/data` (see `tool.hatch` in pyproject.toml).
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("keylike")))
WEB = PACKAGE / "web"
_DATA = PACKAGE / "data"
INSTALLED = _DATA.is_dir()
# Folder with models/, samples/, requirements.txt and locks/.
HOME = _DATA if INSTALLED else PACKAGE.parent
MODELS = HOME / "models"
SAMPLES = HOME / "samples"
# Command that starts the command line, for messages.
COMMAND = "keylike" if INSTALLED else "python app.py"


def state_folder() -> Path:
    """Return the default folder for logs and tokens.

    In a checkout this is the checkout. An installed server must not write into site-packages, so it
    uses the user's state folder, whatever the working directory: a token made in one folder is
    valid for a server that is started in another.
    """
    if not INSTALLED:
        return HOME
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        path = Path(os.environ.get(name, ""))
        if path.is_absolute():
            return path / "keylike"
    try:
        return Path.home() / ".local" / "state" / "keylike"
    except RuntimeError:  # a user without a home directory, as in some containers
        return Path.cwd()
