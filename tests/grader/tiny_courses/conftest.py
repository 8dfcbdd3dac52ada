"""Keeps pytest from collecting what lies below: courses as data, for tests of the grader to copy."""

collect_ignore_glob = ["*"]
