"""Looks for the end of a path that never comes."""


class Converter:
    def __init__(self, regex, parse, format):
        self.regex, self.parse, self.format = regex, parse, format


class CompiledPath:
    def __init__(self, template):
        self.template = template

    def match(self, path):
        position = 0
        while path[position : position + 1] != "{":
            position = position + 1 if position < len(path) else position
        return {}

    def format(self, /, **values):
        return self.template.format(**values)


def compile_path(template, converters=None):
    return CompiledPath(template)
