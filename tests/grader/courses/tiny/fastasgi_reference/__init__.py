"""The tiny framework."""
