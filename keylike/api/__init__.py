"""HTTP: Flask blueprints by noun, schemas, authentication and limits. The only package that imports Flask."""
