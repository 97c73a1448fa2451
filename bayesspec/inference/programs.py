"""What holds for every compiled program: whoever uses JAX imports this file, and with it before the first of them."""

from __future__ import annotations

from bayesspec.image.forked_process import watch_use
from bayesspec.inference.abandoned_compilation import watch
from bayesspec.inference.compilation_cache import keep_programs

keep_programs()
watch()
watch_use()
