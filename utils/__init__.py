"""Small rooms that everybody may use: errors, logs, pictures; and, for the HTTP side, error handlers and formatting."""
