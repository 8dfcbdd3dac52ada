"""Middleware: ASGI applications around an application, a module each."""
