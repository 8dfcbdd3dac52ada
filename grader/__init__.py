"""The judge of the course "Building an ASGI framework"."""

__version__ = "0.1.0"
