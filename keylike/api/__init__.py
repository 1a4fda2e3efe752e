"""HTTP: Flask blueprints, schemas, authentication and limits. Only this package imports Flask."""
