"""The author's tools: stubs, the gallery of mistakes, mutants, the proof of an exercise, a new exercise.

Rule 1: results are frozen data; nothing here prints (`render` makes what the command line prints).
Rule 2: nothing here knows an exercise by name.
Rule 3: code of an exercise is read and rewritten as text; it runs only where `grader.grading` runs it.
"""
