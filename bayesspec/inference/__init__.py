"""Engines: fast ways to the posterior of a model, and what they share. Arrays in, frozen dataclasses out."""

from bayesspec.inference.abandoned_compilation import watch
from bayesspec.inference.compilation_cache import keep_programs

CACHE = keep_programs()
watch()
